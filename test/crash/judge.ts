/**
 * Compares what is found after a crash with what was written. The file must be a prefix of history: so each client's part
 * of the state must be what it is after some number of the client's units, and the marks in ALL must be the first ones in the
 * order that the server itself has told.
 */
import type { Found } from "./found.js";
import { Bits, type Key, type State } from "./model.js";
import { ALL, isOwn, type Unit } from "./workload.js";
import type { Entry } from "./writing-client.js";

export interface Verdict {
  /** Acknowledged units that are not there. */
  lost: number;
  /** The first of them to be acknowledged: when, by performance.now(), and what it was. */
  oldestLost: { acknowledgedMs: number; what: string } | undefined;
  violations: string[];
}

/** The server takes its time once for many commands. */
const CLOCK_SLACK_MS = 50;
const KEYS_TOLD_MAX = 5;
const LIST_TOLD_MAX = 12;
const WORD_TOLD_MAX = 40;

/** `base` is what was there when the histories began; it is used up. `histories` are by client. */
export function judge(base: State, histories: readonly (readonly Entry[])[], found: Found): Verdict {
  const violations: string[] = [...found.complaints];
  violations.push(...strangers(found.state, histories.length), ...misplacedMarks(base, histories, found.state));
  let lost = 0;
  let oldestLost: Verdict["oldestLost"];
  histories.forEach((history, client) => {
    const prefix = longestPrefix(client, base, history, found);
    if (prefix.violation !== undefined) violations.push(prefix.violation);
    for (const [i, { unit, acknowledgedMs }] of history.entries()) {
      if (i < prefix.length || acknowledgedMs === undefined) continue;
      lost++;
      if (oldestLost !== undefined && oldestLost.acknowledgedMs <= acknowledgedMs) continue;
      oldestLost = { acknowledgedMs, what: `unit ${i} of client ${client}, ${describeUnit(unit)}` };
    }
  });
  return { lost, oldestLost, violations };
}

function strangers(state: State, clients: number): string[] {
  return state.databases.flatMap((keys, database) =>
    [...keys.keys()]
      .filter((key) => !(database === 0 && key === ALL))
      .filter((key) => !Array.from({ length: clients }, (_, i) => i).some((client) => isOwn(client, database, key)))
      .map((key) => `nobody wrote the key ${key} in database ${database}`),
  );
}

/** Across the clients: a marked unit is there exactly when its place is not beyond the number of marks. */
function misplacedMarks(base: State, histories: readonly (readonly Entry[])[], state: State): string[] {
  const violations: string[] = [];
  const marks = state.in(0).get(ALL)?.bits ?? new Bits();
  const expected = base.in(0).get(ALL)?.bits.clone() ?? new Bits();
  const count = marks.list().length;
  histories.forEach((history, client) => {
    history.forEach(({ unit: { mark }, place }, i) => {
      if (mark === undefined) return;
      const isThere = marks.get(mark) === 1;
      if (isThere) expected.set(mark, 1);
      if (place !== undefined && isThere !== place <= count) {
        violations.push(
          `client ${client}: unit ${i}, which was number ${place} of all marked ones, is ${isThere ? "there" : "missing"}, and ${count} are there`,
        );
      }
    });
  });
  if (!marks.equals(expected)) {
    const told = differingBits(expected, marks);
    violations.push(`the key ${ALL} has other bits than the ones of earlier rounds and of this one: ${told}`);
  }
  return violations;
}

/** The largest number of the client's units whose state is what was found. */
function longestPrefix(
  client: number,
  base: State,
  history: readonly Entry[],
  found: Found,
): { length: number; violation?: string } {
  const marks = found.state.in(0).get(ALL)?.bits ?? new Bits();
  const isMarkedThere = ({ unit: { mark } }: Entry) => mark !== undefined && marks.get(mark) === 1;
  const isMarkedMissing = ({ unit: { mark } }: Entry) => mark !== undefined && marks.get(mark) === 0;
  const shortest = history.findLastIndex(isMarkedThere) + 1;
  const firstMissing = history.findIndex(isMarkedMissing);
  const longest = firstMissing === -1 ? history.length : firstMissing;
  if (longest < shortest) {
    const violation = `client ${client}: unit ${shortest - 1} of ${history.length} is there, and the earlier ${firstMissing} is missing`;
    return { length: shortest, violation };
  }

  const different = new Differences(client, base, found);
  let length: number | undefined;
  let least: { length: number; text: string; count: number } | undefined;
  for (let i = 0; ; i++) {
    if (i >= shortest && different.count === 0) length = i;
    if (i >= shortest && (least === undefined || different.count < least.count)) {
      least = { length: i, text: different.tell(), count: different.count };
    }
    const entry = history[i];
    if (entry === undefined || i === longest) break;
    base.run(entry.unit.database, entry.unit.requests, (database, key) => different.look(database, key));
  }
  if (length !== undefined) return { length };
  const violation =
    `client ${client}: what is found is the state after none of its units ${shortest} to ${longest} of ${history.length}; ` +
    `nearest is ${least?.length}, where ${least?.count} keys differ: ${least?.text}`;
  return { length: shortest, violation };
}

/** Which keys of a client differ between the model and what was found. */
class Differences {
  readonly #client: number;
  readonly #model: State;
  readonly #found: Found;
  readonly #names = new Set<string>();

  constructor(client: number, model: State, found: Found) {
    this.#client = client;
    this.#model = model;
    this.#found = found;
    model.databases.forEach((keys, database) => {
      for (const key of new Set([...keys.keys(), ...found.state.in(database).keys()])) this.look(database, key);
    });
  }

  get count(): number {
    return this.#names.size;
  }

  look(database: number, key: string): void {
    if (!isOwn(this.#client, database, key)) return;
    const name = `${database} ${key}`;
    const { state, fromMs, toMs } = this.#found;
    if (isSame(this.#model.in(database).get(key), state.in(database).get(key), fromMs, toMs)) this.#names.delete(name);
    else this.#names.add(name);
  }

  tell(): string {
    const some = [...this.#names].slice(0, KEYS_TOLD_MAX).map((name) => {
      const database = Number(name.slice(0, name.indexOf(" ")));
      const key = name.slice(name.indexOf(" ") + 1);
      const [model, found] = [this.#model.in(database).get(key), this.#found.state.in(database).get(key)];
      return `${key} in database ${database}, expected ${describe(model)}, found ${describe(found)}${difference(model, found)}`;
    });
    return some.join("; ");
  }
}

function describeUnit({ database, requests }: Unit): string {
  const commands = requests.map((request) => request.map(printable).join(" "));
  return `in database ${database}: ${commands.join(", ")}`;
}

function printable(word: string): string {
  return word.slice(0, WORD_TOLD_MAX).replace(/[^ -~]/g, "?");
}

function isSame(expected: Key | undefined, found: Key | undefined, fromMs: number, toMs: number): boolean {
  const mayBeGone = expected === undefined || expected.deadline <= toMs + CLOCK_SLACK_MS;
  if (found === undefined) return mayBeGone;
  if (expected === undefined || expected.deadline < fromMs - CLOCK_SLACK_MS) return false;
  return expected.deadline === found.deadline && expected.bits.equals(found.bits);
}

function describe(key: Key | undefined): string {
  if (key === undefined) return "none";
  const members = key.bits.list().length;
  return `${key.bits.byteLength} bytes with ${members} members${key.deadline === Number.POSITIVE_INFINITY ? "" : ` and deadline ${key.deadline}`}`;
}

function difference(expected: Key | undefined, found: Key | undefined): string {
  if (expected === undefined || found === undefined || expected.bits.equals(found.bits)) return "";
  return ` (${differingBits(expected.bits, found.bits)})`;
}

function differingBits(expected: Bits, found: Bits): string {
  const missing = expected.list().filter((offset) => found.get(offset) === 0);
  const additional = found.list().filter((offset) => expected.get(offset) === 0);
  const tell = (offsets: number[]) =>
    `${offsets.slice(0, LIST_TOLD_MAX).join(" ")}${offsets.length > LIST_TOLD_MAX ? ` and ${offsets.length - LIST_TOLD_MAX} more` : ""}`;
  return `missing: ${tell(missing)}, not expected: ${tell(additional)}`;
}

/** COHORT: a table of how many members rows of keys share with columns of keys, as bitmapist's get_cohort_table counts it. */
import { COHORT_CELLS_MAX, COHORT_FILTERED_BYTES_MAX, COHORT_KEYS_MAX, COHORT_MS_MAX } from "../../config.js";
import { CommandError } from "../../errors.js";
import { Bitmap } from "../../keyspace/bitmap.js";
import { type BitOp, bitop } from "../../keyspace/bitmap-op.js";
import { pairCost, type Reach, sharedMembers } from "../../keyspace/shared-members.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { integerArg, SYNTAX_ERROR } from "../args.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";
import { lookupBitmap } from "../lookup.js";

const BAD_COUNT = new CommandError("ERR numkeys should be greater than 0");
const TOO_MANY_KEYS = new CommandError("ERR Number of keys can't be greater than number of args");
const BAD_FILTER = new CommandError("ERR a filter has one key, or as many as what it filters");
const BAD_STEPS = new CommandError("ERR STEPS should be greater than 0");
const TOO_LARGE = new CommandError(`ERR the table would have more than ${COHORT_CELLS_MAX} cells`);
const TOO_MANY_SOURCES = new CommandError(`ERR the table would take more than ${COHORT_KEYS_MAX} keys and filters`);
const TOO_LONG = new CommandError(`ERR the table would take longer than ${COHORT_MS_MAX} ms, ask for a part of it`);
const TOO_MUCH = new CommandError(
  `ERR what the filters leave would take more than ${COHORT_FILTERED_BYTES_MAX} bytes, ask for a part of the table`,
);

const NS_MAX = COHORT_MS_MAX * 1e6;
/** A filter makes a value, which takes so much longer than counting what it would have. */
const FILTER_COST_FACTOR = 4;

const FILTERS = ["AND", "OR", "DIFF"] as const;

/** Keys of the request, each as its position in it. */
interface Keys {
  positions: number[];
  /** What each of them is combined with: one key for all, or one for each. */
  filters: { op: (typeof FILTERS)[number]; positions: number[] }[];
}

interface Request {
  rows: Keys;
  columns: Keys;
  /** How many columns a row is compared with, from the one of its own number on; all if missing. */
  steps: number | undefined;
  inPercent: boolean;
}

/** ROWS numkeys key [key ...] [filters] COLUMNS numkeys key [key ...] [filters] [STEPS steps] [PERCENT] */
function parse(argv: Argv): Request {
  let at = 1;
  /** Goes on behind `word` where that comes next. */
  const next = (word: string): boolean => {
    const isNext = at < argv.length && argv.is(at, word);
    if (isNext) at++;
    return isNext;
  };
  const counted = (): number[] => {
    if (at >= argv.length) throw SYNTAX_ERROR;
    const count = integerArg(argv, at++);
    if (count <= 0) throw BAD_COUNT;
    if (count > argv.length - at) throw TOO_MANY_KEYS;
    return Array.from({ length: count }, () => at++);
  };
  const group = (word: string): Keys => {
    if (!next(word)) throw SYNTAX_ERROR;
    const positions = counted();
    const filters: Keys["filters"] = [];
    for (let op = FILTERS.find(next); op !== undefined; op = FILTERS.find(next)) {
      const others = counted();
      if (others.length !== 1 && others.length !== positions.length) throw BAD_FILTER;
      filters.push({ op, positions: others });
    }
    return { positions, filters };
  };
  const request: Request = { rows: group("ROWS"), columns: group("COLUMNS"), steps: undefined, inPercent: false };
  while (at < argv.length) {
    if (next("PERCENT")) request.inPercent = true;
    else if (next("STEPS") && at < argv.length) {
      request.steps = integerArg(argv, at++);
      if (request.steps <= 0) throw BAD_STEPS;
    } else throw SYNTAX_ERROR;
  }
  return request;
}

/** Positions of all keys, the filters' too. Throws CommandError where the request is no COHORT. */
function keysOf(argv: Argv): number[] {
  const { rows, columns } = parse(argv);
  return [rows, columns].flatMap(({ positions, filters }) => [
    ...positions,
    ...filters.flatMap((filter) => filter.positions),
  ]);
}

function cohort(client: Client, argv: Argv, reply: Reply): void {
  const request = parse(argv);
  const { steps = Number.POSITIVE_INFINITY } = request;
  const rowCount = request.rows.positions.length;
  // No row reaches further columns.
  request.columns.positions.splice(rowCount - 1 + steps);
  const columnCount = request.columns.positions.length;
  if (rowCount * Math.min(steps, columnCount) > COHORT_CELLS_MAX) throw TOO_LARGE;
  if (sourcesOf(request.rows) + sourcesOf(request.columns) > COHORT_KEYS_MAX) throw TOO_MANY_SOURCES;
  const reach: Reach = (row) =>
    request.steps === undefined
      ? { first: 0, end: columnCount }
      : { first: Math.min(row, columnCount), end: Math.min(row + request.steps, columnCount) };

  const sources = new Sources(client, argv);
  try {
    const rows = sources.of(request.rows);
    const columns = sources.of(request.columns);
    const table = sharedMembers(rows, columns, reach, NS_MAX);
    if (table === undefined) throw TOO_LONG;
    answer(reply, argv, request, { rows, columns, table, reach });
  } finally {
    sources.dispose();
  }
}

function sourcesOf({ positions, filters }: Keys): number {
  return positions.length * (1 + filters.length);
}

interface Counted {
  rows: readonly Bitmap[];
  columns: readonly Bitmap[];
  table: readonly number[][];
  reach: Reach;
}

function answer(reply: Reply, argv: Argv, request: Request, { rows, columns, table, reach }: Counted): void {
  reply.map(rows.length);
  rows.forEach(({ cardinality }, r) => {
    const cells = table[r] as number[];
    const { first } = reach(r);
    reply.bulk(argv.bytes(request.rows.positions[r] as number));
    reply.array(1 + cells.length);
    reply.integer(cardinality);
    cells.forEach((count, c) => {
      // Nobody is there who could come back, or nothing is known of the time: bitmapist leaves such a cell empty.
      if (cardinality === 0 || columns[first + c]?.cardinality === 0) reply.nil();
      else if (request.inPercent) reply.double((count / cardinality) * 100);
      else reply.integer(count);
    });
  });
}

/** The values of the request's keys, each looked up once, and what the filters leave of them. */
class Sources {
  readonly #client: Client;
  readonly #argv: Argv;
  readonly #found = new Map<string, Bitmap>();
  readonly #missing = new Bitmap();
  readonly #filtered = new Set<Bitmap>();
  readonly #usedBytes = Bitmap.usedBytes();
  #ns = 0;

  constructor(client: Client, argv: Argv) {
    this.#client = client;
    this.#argv = argv;
  }

  of({ positions, filters }: Keys): Bitmap[] {
    return positions.map((position, i) => {
      let bitmap = this.#bitmap(position);
      for (const { op, positions: others } of filters) {
        const before = bitmap;
        bitmap = this.#filter(op, before, this.#bitmap(others[others.length === 1 ? 0 : i] as number));
        if (this.#filtered.delete(before)) before.dispose();
      }
      return bitmap;
    });
  }

  #filter(op: BitOp, bitmap: Bitmap, other: Bitmap): Bitmap {
    this.#ns += FILTER_COST_FACTOR * pairCost(bitmap, other);
    if (this.#ns > NS_MAX) throw TOO_LONG;
    if (Bitmap.usedBytes() - this.#usedBytes > COHORT_FILTERED_BYTES_MAX) throw TOO_MUCH;
    const filtered = bitop(op, [bitmap, other]);
    this.#filtered.add(filtered);
    // Now, so that the next look at the memory sees it.
    filtered.make();
    return filtered;
  }

  #bitmap(position: number): Bitmap {
    const key = this.#argv.string(position);
    const bitmap = this.#found.get(key) ?? lookupBitmap(this.#client, key) ?? this.#missing;
    this.#found.set(key, bitmap);
    return bitmap;
  }

  dispose(): void {
    this.#missing.dispose();
    for (const bitmap of this.#filtered) bitmap.dispose();
  }
}

export const COHORT_COMMANDS: readonly Command[] = [
  {
    name: "cohort",
    arity: -7,
    syntax:
      "ROWS rows:<numkeys:integer key... [filter:<operation:(AND | OR | DIFF) numkeys:integer filterkey...>...]> " +
      "COLUMNS columns:<numkeys:integer key... [filter:<operation:(AND | OR | DIFF) numkeys:integer filterkey...>...]> " +
      "[STEPS steps:integer] [PERCENT]",
    flags: ["readonly", "movablekeys"],
    categories: ["bitmap"],
    keys: [
      { flags: ["RO", "access", "incomplete"], word: "ROWS" },
      { flags: ["RO", "access", "incomplete"], word: "COLUMNS" },
    ],
    keysOf,
    group: "bitmap",
    since: "1.0.0",
    complexity: "O(M) over the members of all keys, or O(R*C*K) for R rows, C columns and K containers of 65,536 bits",
    summary: "Counts how many members each row shares with each column: a cohort table.",
    differs: "not in Redis",
    handler: cohort,
  },
];

/**
 * The crash test: clients write, the server is killed at some moment, and what the next one finds is compared with what was
 * written; again and again on one file. With `powerLoss` the files are first brought into a state that a loss of power
 * might have left. Everything random comes from the seed, but for the moment at which each thing happens on the machine.
 */
import type { SpawnOptions } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { buildDisk, diskEnvironment } from "../support/disk.js";
import { type Dice, diceOf } from "../support/random.js";
import { ServerProcess, sleep } from "../support/server-process.js";
import { readServer } from "./found.js";
import { judge, type Verdict } from "./judge.js";
import { State } from "./model.js";
import {
  type Files,
  readFiles,
  readTrace,
  type Survival,
  TracedDisk,
  type TraceRecord,
  writeFiles,
} from "./power-loss.js";
import { CLIENTS, Workload } from "./workload.js";
import { type Entry, WritingClient } from "./writing-client.js";

/** Those that promise something about a loss of power. */
export type Mode = "always" | "everysec";

export interface CrashOptions {
  mode: Mode;
  kills: number;
  seed: number;
  powerLoss: boolean;
  /** How long the clients write before a kill. */
  killAfterMs: readonly [low: number, high: number];
  /** Told what was seen so far after each kill. */
  onKill?: (report: CrashReport) => void;
}

export interface CrashReport {
  mode: Mode;
  seed: number;
  powerLoss: boolean;
  kills: number;
  /** Of `kills`, in which a backup was under way; and further ones, while the server started. */
  killsInBackup: number;
  killsInStart: number;
  /** States of the disk after a loss of power that were looked at. */
  images: number;
  /** Of these, with changes that no sync had made durable. */
  imagesUnsynced: number;
  /** Backups that were finished before the kill. */
  backups: number;
  acknowledged: number;
  lost: number;
  /** Of each state that was looked at: from the acknowledgement of the oldest write that is lost to the kill. */
  lossWindowsMs: number[];
  violations: string[];
  /** Where the files are in which the violations were found, if there are any. */
  folder: string | undefined;
  /** Temporary files that nobody has removed. */
  leftOver: string[];
}

/** A commit may take a part of the second; the rest is the time an acknowledgement needs to be seen. */
const LOSS_WINDOW_MS_MAX = 1100;
const VIOLATIONS_MAX = 10;
const BACKUP_CHANCE = 0.25;
const START_KILL_CHANCE = 0.2;
const START_KILLS_MAX = 3;
const START_KILL_MS_MAX = 400;
const BACKUP_KILL_MS_MAX = 500;
const BACKUP_BEGUN_MS_MAX = 10;
const SECTORS_BYTES = [4096, 512];

export async function runCrashes(options: CrashOptions): Promise<CrashReport> {
  const run = new CrashRun(options);
  try {
    return await run.run();
  } finally {
    await run.cleanup();
  }
}

class CrashRun {
  readonly #options: CrashOptions;
  readonly #dice: Dice;
  readonly #folder = mkdtempSync(join(tmpdir(), "bitmapist-crash-"));
  readonly #database = join(this.#folder, "bitmapist.db");
  readonly #backup = join(this.#folder, "backup.db");
  readonly #trace = join(this.#folder, "trace");
  readonly #library: string | undefined;
  readonly #clients: WritingClient[];
  readonly #report: CrashReport;
  readonly #removeFolder = () => {
    if (this.#report.folder === undefined) rmSync(this.#folder, { recursive: true, force: true });
  };
  #server: ServerProcess | undefined;
  /** What was there when the clients began to write. */
  #base = new State();
  /** What was on the disk when the traced server was started. */
  #startFiles: Files = new Map();
  /** Of the last backup that was looked at. */
  #backupHash: string | undefined;

  constructor(options: CrashOptions) {
    this.#options = options;
    this.#dice = diceOf(options.seed);
    this.#library = options.powerLoss ? buildDisk(this.#folder) : undefined;
    this.#clients = Array.from({ length: CLIENTS }, (_, i) => {
      const dice = diceOf(this.#dice.int(0, 2 ** 32 - 1));
      return new WritingClient(new Workload(i, dice), dice);
    });
    process.on("exit", this.#removeFolder);
    const { mode, seed, powerLoss } = options;
    const counts = {
      kills: 0,
      killsInBackup: 0,
      killsInStart: 0,
      images: 0,
      imagesUnsynced: 0,
      backups: 0,
      acknowledged: 0,
      lost: 0,
    };
    const lists = { lossWindowsMs: [], violations: [], leftOver: [] };
    this.#report = { mode, seed, powerLoss, ...counts, ...lists, folder: undefined };
  }

  async run(): Promise<CrashReport> {
    const report = this.#report;
    try {
      // Some already while they make the database.
      await this.#killStarts();
      let server = await this.#start(this.#database, { isTraced: this.#options.powerLoss });
      while (report.kills < this.#options.kills && report.violations.length < VIOLATIONS_MAX) {
        server = await this.#round(server);
        this.#options.onKill?.(report);
      }
    } catch (error) {
      // A server that does not start or answer is a finding, not a failure of the test.
      this.#complain("the run broke off", [String(error)], readFiles(this.#database));
    }
    report.leftOver = readdirSync(this.#folder).filter(isTemporary);
    return report;
  }

  async cleanup(): Promise<void> {
    await this.#server?.cleanup();
    process.off("exit", this.#removeFolder);
    this.#removeFolder();
  }

  /** Clients write, the server is killed, and the next one is looked at and returned. */
  async #round(server: ServerProcess): Promise<ServerProcess> {
    const { powerLoss, killAfterMs } = this.#options;
    const dice = this.#dice;
    const isBackup = !powerLoss && dice.next() < BACKUP_CHANCE;
    const writing = Promise.all(this.#clients.map((client) => client.run(server.port)));
    await sleep(dice.int(...killAfterMs));
    const signalledMs = performance.now();
    if (isBackup) {
      server.signal("SIGUSR1");
      await this.#duringBackup();
    }
    const killedMs = performance.now();
    await this.#kill(server);
    await writing;
    this.#count(server, isBackup);
    if (isBackup) await this.#checkBackup(signalledMs, server.log.includes("backup written"));
    if (powerLoss) await this.#losePower(killedMs);
    if (dice.next() < START_KILL_CHANCE) await this.#killStarts();
    return await this.#recover(killedMs);
  }

  /** Some moment while the backup is being made, or shortly after it: in half of the cases the copy has just been begun. */
  async #duringBackup(): Promise<void> {
    const delayMs = this.#dice.int(0, BACKUP_KILL_MS_MAX);
    if (this.#dice.next() < 0.5) return await sleep(delayMs);
    const before = new Set(readdirSync(this.#folder));
    const isBegun = () => readdirSync(this.#folder).some((name) => isTemporary(name) && !before.has(name));
    for (const endMs = performance.now() + delayMs; performance.now() < endMs && !isBegun(); ) await sleep(1);
    await sleep(this.#dice.int(0, BACKUP_BEGUN_MS_MAX));
  }

  #count(server: ServerProcess, isBackup: boolean): void {
    this.#report.kills++;
    if (isBackup && server.log.includes("backup written")) this.#report.backups++;
    else if (isBackup) this.#report.killsInBackup++;
    const entries = this.#histories.flat();
    this.#report.acknowledged += entries.filter(({ acknowledgedMs }) => acknowledgedMs !== undefined).length;
    const complaints = this.#clients.flatMap((client) => client.complaints.splice(0));
    this.#complain("a reply", [...new Set(complaints)]);
  }

  /** Starts a server on what is left, looks at it, and makes it the one of the next round. */
  async #recover(killedMs: number): Promise<ServerProcess> {
    const files = readFiles(this.#database);
    const server = await this.#start(this.#database);
    const found = await readServer(server);
    const verdict = judge(this.#base, this.#histories, found);
    this.#report.lost += verdict.lost;
    this.#complain("after the kill", this.#broken(verdict, killedMs), files);
    this.#base = found.state;
    if (!this.#options.powerLoss) return server;
    await this.#kill(server);
    return await this.#start(this.#database, { isTraced: true });
  }

  get #histories(): WritingClient["history"][] {
    return this.#clients.map(({ history }) => history);
  }

  /** The calls of a traced server to the disk are recorded from now on. */
  async #start(database: string, { isTraced = false, waits = true } = {}): Promise<ServerProcess> {
    const { mode, powerLoss } = this.#options;
    const argv = ["--addr", "127.0.0.1:0", "--db", database, "--appendfsync", mode];
    if (!powerLoss && database === this.#database) argv.push("--bak", this.#backup);
    const options: SpawnOptions = { cwd: this.#folder };
    if (isTraced && this.#library !== undefined) {
      rmSync(this.#trace, { force: true });
      this.#startFiles = readFiles(database);
      options.env = diskEnvironment(this.#library, database, { trace: this.#trace });
    }
    this.#server = new ServerProcess(argv, options);
    if (waits) await this.#server.answers(0);
    return this.#server;
  }

  async #kill(server: ServerProcess): Promise<void> {
    await server.kill();
    await server.cleanup();
  }

  /** Kills the server while it starts, a few times in a row; with `powerLoss` the power goes at some call to the disk. */
  async #killStarts(): Promise<void> {
    const { powerLoss } = this.#options;
    for (let left = this.#dice.int(1, START_KILLS_MAX); left > 0; left--) {
      const server = await this.#start(this.#database, { isTraced: powerLoss, waits: false });
      await sleep(this.#dice.int(0, START_KILL_MS_MAX));
      await this.#kill(server);
      this.#report.killsInStart++;
      if (powerLoss) this.#installImage(this.#cutDisk(readTrace(this.#trace)).disk);
    }
  }

  /** The file of the backup is the old one to the byte, or a new one with everything acknowledged before the signal. */
  async #checkBackup(signalledMs: number, wasFinished: boolean): Promise<void> {
    if (!existsSync(this.#backup)) {
      if (wasFinished || this.#backupHash !== undefined) this.#complain("the backup", ["the file is gone"]);
      return;
    }
    const bytes = readFileSync(this.#backup);
    const hash = createHash("sha256").update(bytes).digest("hex");
    const isOld = hash === this.#backupHash;
    if (isOld && wasFinished) this.#complain("the backup", ["it was finished, and the file is the old one"]);
    if (isOld) return;
    this.#backupHash = hash;
    const files: Files = new Map([["", bytes]]);
    const verdict = await this.#judgeAside(files, signalledMs);
    const { oldestLost, violations } = verdict;
    if (oldestLost !== undefined) {
      violations.push(`${oldestLost.what} was acknowledged before the signal and is missing`);
    }
    this.#complain("the backup", violations, files);
  }

  /**
   * Looks at the disk without anything that was not synced; at a random part of it, as if the power had gone at some call to the
   * disk before the kill, amid a commit or a checkpoint; and leaves a random part of it there.
   */
  async #losePower(killedMs: number): Promise<void> {
    const records = readTrace(this.#trace);
    const disk = this.#tracedDisk(records);
    await this.#judgeImage(disk, { kept: "nothing" }, killedMs);
    const cut = this.#cutDisk(records);
    await this.#judgeImage(cut.disk, this.#someSurvive(), cut.atMs ?? killedMs);
    this.#installImage(disk);
  }

  /** The disk as it was after some call. */
  #cutDisk(records: readonly TraceRecord[]): { disk: TracedDisk; atMs: number | undefined } {
    const last = this.#dice.int(0, records.length - 1);
    return { disk: new TracedDisk(this.#startFiles, records.slice(0, last + 1)), atMs: records[last]?.atMs };
  }

  async #judgeImage(disk: TracedDisk, survival: Survival, atMs: number): Promise<void> {
    const files = this.#image(disk, survival);
    const where = `without power, ${survival.kept} kept of what was not synced`;
    this.#complain(where, this.#broken(await this.#judgeAside(files, atMs), atMs), files);
  }

  #image(disk: TracedDisk, survival: Survival): Files {
    this.#report.images++;
    if (!disk.isSynced) this.#report.imagesUnsynced++;
    return disk.afterPowerLoss(this.#dice, survival);
  }

  #someSurvive(): Survival {
    return { kept: "some", sectorBytes: this.#dice.pick(SECTORS_BYTES) };
  }

  #tracedDisk(records: readonly TraceRecord[]): TracedDisk {
    const disk = new TracedDisk(this.#startFiles, records);
    const difference = disk.difference(readFiles(this.#database));
    if (difference !== undefined) this.#complain("the trace", [difference]);
    return disk;
  }

  #installImage(disk: TracedDisk): void {
    const files = this.#image(disk, this.#someSurvive());
    this.#complain("without power, some kept of what was not synced", this.#integrity(files), files);
    writeFiles(this.#database, files, { keepShm: this.#dice.next() < 0.5 });
  }

  /** Files as they were at some moment, as another server finds them; the run goes on from its own. */
  async #judgeAside(files: Files, atMs: number): Promise<Verdict> {
    const complaints = this.#integrity(files);
    const database = join(mkdtempSync(join(this.#folder, "aside-")), "bitmapist.db");
    writeFiles(database, files, { keepShm: false });
    const server = await this.#start(database);
    const found = await readServer(server);
    await this.#kill(server);
    rmSync(dirname(database), { recursive: true });
    const verdict = judge(
      this.#base.clone(),
      this.#histories.map((history) => asOf(history, atMs)),
      found,
    );
    return { ...verdict, violations: [...complaints, ...verdict.violations] };
  }

  #integrity(files: Files): string[] {
    const database = join(mkdtempSync(join(this.#folder, "integrity-")), "bitmapist.db");
    writeFiles(database, files, { keepShm: false });
    try {
      const connection = new Database(database);
      const result = String(connection.pragma("integrity_check", { simple: true }));
      connection.close();
      return result === "ok" ? [] : [`integrity_check says: ${result}`];
    } catch (error) {
      return [`SQLite can't read it: ${error}`];
    } finally {
      rmSync(dirname(database), { recursive: true });
    }
  }

  /** What breaks a promise, after the mode's promise about the loss is looked at too. */
  #broken({ oldestLost, lost, violations }: Verdict, killedMs: number): string[] {
    const windowMs = oldestLost === undefined ? 0 : Math.max(0, killedMs - oldestLost.acknowledgedMs);
    this.#report.lossWindowsMs.push(windowMs);
    if (windowMs === 0 && lost === 0) return violations;
    const loss = `${lost} acknowledged units are lost, the oldest ${Math.round(windowMs)} ms before the kill: ${oldestLost?.what}`;
    const isBroken = this.#options.mode === "always" || windowMs > LOSS_WINDOW_MS_MAX;
    return isBroken ? [...violations, loss] : violations;
  }

  #complain(where: string, complaints: readonly string[], files?: Files): void {
    if (complaints.length === 0) return;
    const { kills, violations, seed } = this.#report;
    violations.push(...complaints.map((complaint) => `kill ${kills}, seed ${seed}, ${where}: ${complaint}`));
    this.#report.folder = this.#folder;
    if (files === undefined) return;
    const kept = join(this.#folder, `violation-${violations.length}`);
    mkdirSync(kept);
    writeFiles(join(kept, "bitmapist.db"), files, { keepShm: false });
  }
}

/** What was acknowledged later might as well not have been. */
function asOf(history: readonly Entry[], atMs: number): Entry[] {
  return history.map(({ unit, place, acknowledgedMs }) => ({
    unit,
    ...(place !== undefined && { place }),
    ...(acknowledgedMs !== undefined && acknowledgedMs < atMs && { acknowledgedMs }),
  }));
}

function isTemporary(name: string): boolean {
  return name.startsWith("backup.db.");
}

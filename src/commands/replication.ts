/**
 * This server as a replica, as far as commands look at it: whom it follows, how far it is, and what could not be repeated here. Who
 * follows the master (migrate/replica) keeps it up to date.
 */
import { randomBytes } from "node:crypto";
import type { Master } from "../options/kinds.js";
import type { ServerOptions } from "../options/table.js";

export type { Master };

/** How far the link to the master is, in Redis' words. */
export type LinkState = "connect" | "connecting" | "handshake" | "sync" | "connected";

const ID_BYTES = 20;
const NO_ID = "0".repeat(ID_BYTES * 2);

/** The last whole data set that a master sent, or sends. */
export interface FullSync {
  /** Wall-clock milliseconds. */
  begunMs: number;
  /** 0 where the master does not say (diskless). */
  totalBytes: number;
  readBytes: number;
  keys: number;
}

export class Replication {
  state: LinkState = "connect";
  /** The data set is being replaced by the master's: there is nothing to be had. */
  isLoading = false;
  sync: FullSync = { begunMs: 0, totalBytes: 0, readBytes: 0, keys: 0 };
  /** Which history the data has come from, and how many bytes of it are in the data, and have arrived. */
  id = randomBytes(ID_BYTES).toString("hex");
  offset = 0;
  readOffset = 0;
  /** The history before this one, and the first byte that is not of it. */
  secondId = NO_ID;
  secondOffset = -1;
  /** When something came from the master last, and since when the link is down, in wall-clock milliseconds. */
  lastIoMs: number | undefined;
  downSinceMs: number | undefined;
  /** Keys of the last data set that are no strings. */
  skippedKeys = 0;
  /** Commands of the master that were about other keys than strings since REPLICAOF, by name. */
  readonly skippedCommands = new Map<string, number>();
  readonly #settings: ServerOptions;

  constructor(settings: ServerOptions) {
    this.#settings = settings;
  }

  /** Undefined where this server is a master itself. */
  get master(): Master | undefined {
    return this.#settings.replicaof;
  }

  /** The data is that of another history, up to this byte of it. */
  begin(id: string, offset: number): void {
    this.id = id;
    this.offset = offset;
    this.readOffset = offset;
    this.secondId = NO_ID;
    this.secondOffset = -1;
  }

  /** The history goes on under another name: another server has become the master, or this one. */
  rename(id = randomBytes(ID_BYTES).toString("hex")): void {
    this.secondId = this.id;
    this.secondOffset = this.offset + 1;
    this.id = id;
  }

  skip(command: string): void {
    this.skippedCommands.set(command, (this.skippedCommands.get(command) ?? 0) + 1);
  }
}

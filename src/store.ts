/** A database without a server: what a subcommand opens that reads or writes a file itself. */
import { systemClock } from "./clock.js";
import { IMPORT_MEMORY_BYTES } from "./config.js";
import { Keyspace } from "./keyspace/keyspace.js";
import { Saver } from "./keyspace/saver.js";
import type { DurableStorage } from "./storage/durable-storage.js";
import { openStorage } from "./storage/open.js";

export class Store {
  readonly keyspace: Keyspace;
  readonly saver: Saver;
  readonly #storage: DurableStorage;

  /** Opens the file, and makes it where there is none. Throws StartError when it can't be, or a server has it open. */
  static open(path: string, onWarning: (message: string) => void): Store {
    return new Store(path, onWarning);
  }

  private constructor(path: string, onWarning: (message: string) => void) {
    this.#storage = openStorage(path, "everysec", {
      onSettled: (batch) => {
        this.keyspace.settled(batch);
        this.saver.settled();
      },
      onWarning,
      onWriteFailed: (reason) => this.saver.failed(reason),
      onWritten: () => this.saver.succeeded(),
      // Every save rejects from now on.
      onDied: (error) => this.saver.failed(error.message),
    });
    this.keyspace = new Keyspace(this.#storage, systemClock, Math.random);
    this.keyspace.residency.maxBytes = IMPORT_MEMORY_BYTES;
    this.saver = new Saver(this.keyspace, this.#storage, systemClock, IMPORT_MEMORY_BYTES);
    this.saver.start();
  }

  /** Commits what has changed and closes the file. Rejects with the reason when it can't be committed; closed it is then too. */
  async close(): Promise<void> {
    this.saver.stop();
    try {
      await this.saver.save();
    } finally {
      await this.#storage.close({ discard: this.saver.failure !== undefined });
    }
  }
}

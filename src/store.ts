/** A database without a server: what a subcommand opens that reads or writes a file itself. */
import { systemClock } from "./clock.js";
import { IMPORT_MEMORY_BYTES } from "./config.js";
import { compileGlob } from "./keyspace/glob.js";
import { Keyspace } from "./keyspace/keyspace.js";
import { Saver } from "./keyspace/saver.js";
import type { Source, Target } from "./migrate/item.js";
import { KeyspaceSource } from "./migrate/keyspace-source.js";
import { KeyspaceTarget } from "./migrate/keyspace-target.js";
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

  /** The keys that match as the source of a move, whose `close` closes the file. */
  source(pattern: string): Source {
    return closing(new KeyspaceSource(this.keyspace, compileGlob(pattern)), this);
  }

  /** The file as the target of a move, whose `close` closes it. */
  target(): Target {
    return closing(new KeyspaceTarget(this.keyspace, this.saver), this);
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

function closing<T extends { close(): Promise<void> }>(end: T, store: Store): T {
  end.close = () => store.close();
  return end;
}

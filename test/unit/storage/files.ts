/** What the tests of storages share: ears that hear nothing. */
import type { StorageEvents } from "../../../src/storage/durable-storage.js";

export const NO_EVENTS: StorageEvents = {
  onSettled: () => {},
  onWriteFailed: () => {},
  onWritten: () => {},
  onWarning: () => {},
  onDied: () => {},
};

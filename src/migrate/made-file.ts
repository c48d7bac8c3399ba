/** A file that a target makes under another name. Who knows how it gets its own makes one of these. */
export interface MadeFile {
  /** As the operator calls it. */
  name: string;
  /** Where it is made. */
  path: string;
  /** Gives it its name when all of it is on the disk. */
  publish(): void;
  /** Removes what is made so far. */
  discard(): void;
}

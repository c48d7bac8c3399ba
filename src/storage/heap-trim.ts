/**
 * Gives holes in the C library's heap back to the system. glibc does that by itself at the end of its heap only, and Node.js has no way to
 * call `malloc_trim`. SQLite has one: what it is told to load as an extension is a library, and a function of it that it calls, with pointers.
 * The first of them comes where malloc_trim takes how many bytes to leave at the heap's end, so that end stays and all other holes go.
 * It must not be called by the thread that serves clients.
 */
import Database from "better-sqlite3";
import { TRIM_NATIVE_BYTES_MAX } from "../config.js";
import { Bitmap } from "../keyspace/bitmap.js";

/** The types of better-sqlite3 know the first of its two arguments only. */
interface ExtensionLoader {
  loadExtension(path: string, entryPoint: string): unknown;
  close(): unknown;
}

/** Where there is another C library than glibc nothing happens. It takes some 5 ms, and 0.1 ms for each megabyte that it gives back. */
export function trimHeap(): void {
  if (Bitmap.usedBytes() > TRIM_NATIVE_BYTES_MAX) return;
  try {
    const connection: ExtensionLoader = new Database(":memory:");
    try {
      connection.loadExtension("libc.so.6", "malloc_trim");
    } finally {
      connection.close();
    }
  } catch {
    // What it returns when it gave something back is an error to SQLite; and so is a system that has no such function.
  }
}

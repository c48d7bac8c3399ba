/** The bytes of a string that was dumped. */
import { restored } from "../../src/rdb/dump-payload.js";

/** Throws RdbError where the payload, which is whole, is of no string. */
export function restoredString(payload: Buffer): Buffer {
  const pieces: Buffer[] = [];
  return restored(payload, {
    append: (piece) => void pieces.push(Buffer.from(piece)),
    finish: () => Buffer.concat(pieces),
    dispose: () => {},
  });
}

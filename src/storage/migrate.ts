/**
 * Brings a file of an older schema forward: one step from each version to the next, all in one transaction, so that a file is of
 * the old version or of the new one. A released step is never changed; test/fixtures has a file of every version.
 */
import { type Connection, EXPRESSION_TABLE, NAME_TABLES, SCHEMA_VERSION, VALUE_TABLES, VIEWS } from "./schema.js";
import { Values } from "./values.js";

/** Rows one step of a migration reads at a time. */
const BATCH_ROWS = 256;

/** From each version to the next. */
const STEPS: Readonly<Record<number, (connection: Connection) => void>> = {
  1: chunksFromBitmaps,
  2: namesFromIndex,
  3: expressions,
};

/** Brings the schema of an open file up to date. Throws, and leaves the file as it was, when that fails. */
export function migrate(connection: Connection): void {
  const version = Number(connection.pragma("user_version", { simple: true }));
  if (version >= SCHEMA_VERSION) return;
  connection.transaction(() => {
    for (let from = version; from < SCHEMA_VERSION; from++) {
      const step = STEPS[from];
      if (step === undefined) throw new Error(`there is no way from schema ${from} to ${from + 1}`);
      step(connection);
    }
    connection.pragma(`user_version = ${SCHEMA_VERSION}`);
  })();
}

/** Schema 1 kept a value in one row of `bitmaps`, whatever its size, without a checksum. */
function chunksFromBitmaps(connection: Connection): void {
  connection.exec(`
    ALTER TABLE keys ADD COLUMN chunk_bytes INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE keys ADD COLUMN delta_bytes INTEGER NOT NULL DEFAULT 0;
    ${VALUE_TABLES}
  `);
  // Values asks for the table of schema 4, which comes later.
  connection.exec("CREATE TEMP TABLE expressions (id INTEGER PRIMARY KEY, expression TEXT, checksum INTEGER)");
  const values = new Values(connection);
  const page = connection.prepare<[number], { id: number }>(
    `SELECT id FROM bitmaps WHERE id > ? ORDER BY id LIMIT ${BATCH_ROWS}`,
  );
  const load = connection.prepare<[number], { portable: Buffer }>("SELECT portable FROM bitmaps WHERE id = ?");
  const setBytes = connection.prepare("UPDATE keys SET chunk_bytes = ? WHERE id = ?");
  for (let rows = page.all(0); rows.length > 0; rows = page.all((rows.at(-1) as { id: number }).id)) {
    for (const { id } of rows) setBytes.run(values.insert(id, (load.get(id) as { portable: Buffer }).portable), id);
  }
  connection.exec(`DROP TABLE temp.expressions; DROP TABLE bitmaps; ${VIEWS}`);
}

/** Schema 2 had one index on slot and hash. */
function namesFromIndex(connection: Connection): void {
  connection.exec(`
    ${NAME_TABLES}
    INSERT INTO names (slot, hash, id) SELECT slot, hash, id FROM keys INDEXED BY keys_by_hash ORDER BY slot, hash, id;
    DROP INDEX keys_by_hash;
  `);
}

/** Schema 3 had bits of every value. */
function expressions(connection: Connection): void {
  connection.exec(`DROP VIEW bitmaps; ${EXPRESSION_TABLE} ${VIEWS}`);
}

/** What must hold of a database file whatever was done to it, and what of one that is in order. */
import { expect } from "vitest";
import { ALL_NAMES, type Connection } from "../../../src/storage/schema.js";
import { VALUE_ROWS_MAX } from "../../../src/storage/values.js";

interface KeySizes {
  id: number;
  chunkBytes: number;
  deltaBytes: number;
}

/** Numbers of the tables' rows. */
export function rowCounts(connection: Connection): Record<string, number> {
  const tables = ["keys", "chunks", "deltas", "expressions", "log", "dropped_values", "dropped_slots"];
  return Object.fromEntries(
    tables.map((table) => [table, connection.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number]),
  );
}

/** Bytes of a table's rows, by the id of the value that they belong to. */
function bytesById(connection: Connection, row: "chunk" | "delta", bytes: string): Map<number, number> {
  const sums = connection
    .prepare<[], { id: number; bytes: number }>(
      `SELECT ${row} / ${VALUE_ROWS_MAX} AS id, sum(${bytes}) AS bytes FROM ${row}s GROUP BY 1`,
    )
    .all();
  return new Map(sums.map(({ id, bytes: sum }) => [id, sum]));
}

/** At every moment: each key's sizes are those of its rows, and a row without a key waits for its removal. */
export function expectSizesRight(connection: Connection): void {
  const keys = connection
    .prepare<[], KeySizes>("SELECT id, chunk_bytes AS chunkBytes, delta_bytes AS deltaBytes FROM keys")
    .all();
  const chunks = bytesById(connection, "chunk", "length(portable)");
  const deltas = bytesById(connection, "delta", "length(ones) + length(zeros)");
  const expressions = new Set(connection.prepare("SELECT id FROM expressions").pluck().all());
  for (const { id, chunkBytes, deltaBytes } of keys) {
    const inRows = expressions.delete(id) ? 0 : chunks.get(id);
    expect([id, chunkBytes, deltaBytes]).toEqual([id, inRows, deltas.get(id) ?? 0]);
    chunks.delete(id);
    deltas.delete(id);
  }
  expect([...expressions]).toEqual([]);
  expectNamesRight(connection);
  const waiting = connection.prepare("SELECT id FROM dropped_values").pluck().all();
  for (const id of [...chunks.keys(), ...deltas.keys()]) expect(waiting).toContain(id);
}

/** At every moment: each key has its name in one part of the index, and there are no other names. */
export function expectNamesRight(connection: Connection): void {
  const names = connection.prepare(`${ALL_NAMES} ORDER BY id`).all();
  expect(names).toEqual(connection.prepare("SELECT slot, hash, id FROM keys ORDER BY id").all());
}

/** After `tidy()`: the chunks alone are the whole truth, and there is nothing else. */
export function expectTidy(connection: Connection): void {
  expectSizesRight(connection);
  const { deltas, expressions, log, dropped_values, dropped_slots } = rowCounts(connection);
  expect({ deltas, expressions, log, dropped_values, dropped_slots }).toEqual({
    deltas: 0,
    expressions: 0,
    log: 0,
    dropped_values: 0,
    dropped_slots: 0,
  });
  const homeless = `SELECT count(*) FROM keys WHERE slot NOT IN (SELECT slot FROM databases)`;
  expect(connection.prepare(homeless).pluck().get()).toBe(0);
  expect(connection.pragma("integrity_check", { simple: true })).toBe("ok");
}

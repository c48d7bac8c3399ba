/** Which files are ours. One that is not stays as it was, to the byte. */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { DATABASES } from "../../../src/config.js";
import { StartError } from "../../../src/errors.js";
import { openStorage } from "../../../src/storage/open.js";
import { APPLICATION_ID, checkFile, connect, createSchema, SCHEMA_VERSION } from "../../../src/storage/schema.js";
import { temporaryFolder } from "../../support/temporary-folder.js";
import { NO_EVENTS } from "./files.js";

function makeDatabase(path: string, pragmas: readonly string[] = []): void {
  const database = new Database(path);
  database.exec("CREATE TABLE theirs (x)");
  for (const pragma of pragmas) database.pragma(pragma);
  database.close();
}

describe("checkFile() refuses, and openStorage() with it,", () => {
  const OTHERS: [string, (path: string) => void, string][] = [
    ["a text", (path) => writeFileSync(path, "hello\n"), "no SQLite file"],
    ["a long file of another kind", (path) => writeFileSync(path, Buffer.alloc(100_000, 7)), "no SQLite file"],
    ["the beginning of an SQLite header", (path) => writeFileSync(path, "SQLite format"), "no SQLite file"],
    ["an SQLite header that is cut off", (path) => writeFileSync(path, "SQLite format 3\0"), "another program's"],
    ["an SQLite database without application id", (path) => makeDatabase(path), "another program's"],
    [
      "an SQLite database of an application",
      (path) => makeDatabase(path, ["application_id = 77"]),
      "another program's",
    ],
    [
      "a database of a newer version",
      (path) => makeDatabase(path, [`application_id = ${APPLICATION_ID}`, `user_version = ${SCHEMA_VERSION + 1}`]),
      `schema ${SCHEMA_VERSION + 1}, this one knows ${SCHEMA_VERSION}`,
    ],
  ];
  test.each(OTHERS)("%s, and leaves it as it was", (_what, make, words) => {
    const path = temporaryFolder()("other.db");
    make(path);
    const before = readFileSync(path);
    expect(() => checkFile(path)).toThrow(words);
    expect(() => openStorage(path, "no", NO_EVENTS)).toThrow(StartError);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(dirname(path))).toEqual(["other.db"]);
  });

  test("a folder", () => {
    const path = temporaryFolder()("folder");
    mkdirSync(path);
    expect(() => checkFile(path)).toThrow("is not a file");
  });

  test("with one line that names the file", () => {
    const path = temporaryFolder()("other.db");
    makeDatabase(path);
    expect(() => checkFile(path)).toThrow(path);
    expect(() => checkFile(path)).not.toThrow("\n");
  });
});

describe("checkFile() takes", () => {
  test("a file that is not there, and one that is empty", () => {
    const file = temporaryFolder();
    expect(() => checkFile(file("missing.db"))).not.toThrow();
    writeFileSync(file("empty.db"), "");
    expect(() => checkFile(file("empty.db"))).not.toThrow();
  });

  test("a database of this version, in WAL mode too, and through a link", () => {
    const file = temporaryFolder();
    const connection = connect(file("ours.db"), 100);
    createSchema(connection);
    expect(() => checkFile(file("ours.db"))).not.toThrow();
    connection.pragma("journal_mode = WAL");
    symlinkSync("ours.db", file("link.db"));
    expect(() => checkFile(file("link.db"))).not.toThrow();
    connection.close();
    expect(() => checkFile(file("ours.db"))).not.toThrow();
  });
});

describe("the schema", () => {
  test("is found by SQLite and has every database, each in a slot of its own", () => {
    const path = temporaryFolder()("ours.db");
    const connection = connect(path, 100);
    createSchema(connection);
    expect(connection.pragma("application_id", { simple: true })).toBe(APPLICATION_ID);
    expect(connection.pragma("user_version", { simple: true })).toBe(SCHEMA_VERSION);
    const rows = connection.prepare("SELECT slot, number, keys, volatile_keys FROM databases ORDER BY number").all();
    const numbers = Array.from({ length: DATABASES }, (_, number) => number);
    expect(rows).toEqual(numbers.map((number) => ({ slot: number, number, keys: 0, volatile_keys: 0 })));
    connection.close();
  });

  test("is made whole or not at all", () => {
    const path = temporaryFolder()("ours.db");
    const connection = connect(path, 100);
    connection.exec("CREATE TABLE bitmaps (in_the_way)");
    expect(() => createSchema(connection)).toThrow();
    expect(connection.prepare("SELECT name FROM sqlite_schema").all()).toEqual([{ name: "bitmaps" }]);
    expect(connection.pragma("application_id", { simple: true })).toBe(0);
    connection.close();
  });

  test("refuses what is no integer where one belongs", () => {
    const connection = connect(":memory:", 100);
    createSchema(connection);
    const insert = (deadline: unknown) =>
      connection.prepare("INSERT INTO keys VALUES (1, 0, 0, x'61', 0, 0, ?, 0, 0)").run(deadline);
    expect(() => insert("tomorrow")).toThrow();
    expect(() => insert(0.5)).toThrow();
    connection.close();
  });
});

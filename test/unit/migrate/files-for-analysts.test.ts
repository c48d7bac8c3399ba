import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import roaring from "roaring";
import { describe, expect, test } from "vitest";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import { CsvReader } from "../../../src/migrate/csv-reader.js";
import { ROARING_ARCHIVE } from "../../../src/migrate/roaring-archive.js";
import { CSV_IDS, CSV_STATISTICS, NDJSON_IDS, NDJSON_STATISTICS } from "../../../src/migrate/text-formats.js";
import { dice } from "../../support/random.js";
import { temporaryFolder } from "../../support/temporary-folder.js";
import { findTool } from "../../support/tools.js";
import { type Kind, type Plain, randomPlain, read, shortest, sorted, written } from "./files.js";

const python = findTool("python3");
const tar = findTool("tar");

/** What CSV can say: no key without ids, no length, no deadline. */
function asCsv(all: readonly Plain[]): Plain[] {
  return sorted(all)
    .filter(({ ids }) => ids.length > 0)
    .map((plain) => ({ ...plain, byteLength: shortest(plain.ids), deadline: NO_DEADLINE }));
}

describe("what is written is read back the same", () => {
  const FORMATS = { csv: CSV_IDS, ndjson: NDJSON_IDS, roaring: ROARING_ARCHIVE };

  test.each(["csv", "ndjson", "roaring"] as const)(
    "%s: keys of any bytes, values of any kind, in chunks of any size",
    async (kind) => {
      const random = dice(`${kind} round trip`);
      for (let round = 0; round < 10; round++) {
        const all = randomPlain(random, 40);
        const bytes = await written(FORMATS[kind], all);
        const expected = kind === "csv" ? asCsv(all) : sorted(all);
        const options = { chunkBytes: random.pick([7, 100, 65_536]), idsMax: random.pick([1, 50, 1_000_000]) };
        expect(await read(kind, bytes, options)).toEqual(expected);
      }
    },
  );

  test("a key of many ids has several JSON lines, and each is small", async () => {
    const ids = Array.from({ length: 250_001 }, (_, i) => i * 17_000);
    const all = [{ database: 1, key: "many", ids, byteLength: 2 ** 29, deadline: NO_DEADLINE }];
    const bytes = await written(NDJSON_IDS, all);
    const lines = bytes.toString().trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { ids: number[] }).ids.length)).toEqual([100_000, 100_000, 50_001]);
    expect(await read("ndjson", bytes)).toEqual(all);
  });
});

test("a key's rows may be anywhere in a CSV file, its columns too, and others beside them", async () => {
  const text = 'note,id,key\r\nx,7,a\r\n,5,b\r\n\r\n"y,""",3,"a"\r\n,7,a';
  const plain = { database: 0, byteLength: 1, deadline: NO_DEADLINE };
  expect(await read("csv", text, { idsMax: 1 })).toEqual([
    { ...plain, key: "a", ids: [3, 7] },
    { ...plain, key: "b", ids: [5] },
  ]);
});

test("a key's JSON lines may be anywhere, and only the key and the ids must be there", async () => {
  const lines = [
    '{"key":"a","ids":[9]}',
    '{"ids":[],"key":"b","byte_length":3,"more":1}',
    "",
    '{"key":"a","ids":[1],"expires_at":4102444800000}',
  ];
  expect(await read("ndjson", lines.join("\n"), { idsMax: 1 })).toEqual([
    { database: 0, key: "a", ids: [1, 9], byteLength: 2, deadline: 4102444800000 },
    { database: 0, key: "b", ids: [], byteLength: 3, deadline: NO_DEADLINE },
  ]);
});

const BAD: [Kind, string, string][] = [
  ["csv", "", "in:1: there is no header line"],
  ["csv", "database,key,cardinality\n", "in:1: there is no column id in the header line"],
  ["csv", "key,id\na,1\n\nb,-2\n", 'in:4: "-2" is no id: it must be an integer from 0 on'],
  ["csv", "key,id\na,12.0\n", 'in:2: "12.0" is no id: it must be an integer from 0 on'],
  ["csv", "key,id\na,4294967296\n", "in:2: id 4294967296 is above 4294967295"],
  ["csv", "key,id\na\n", "in:2: fewer fields than the header line has: 1"],
  ["csv", 'key,id\n"a\n\nb",1\n"c,1\n', "in:5: a quote is not closed"],
  ["csv", 'key,id\na"b,1\n', "in:2: a quote inside a field that does not begin with one"],
  ["csv", 'key,id\n"a"b,1\n', "in:2: something behind a quote that closes a field"],
  ["csv", "key,id\na,1\rb,2\n", "in:2: a carriage return without a line feed"],
  ["csv", "key,id\nbase64:_,1\n", "in:2: the key's base64 is malformed"],
  ["csv", "database,key,id\n16,a,1\n", "there is no database 16"],
  ["ndjson", '{"key":"a","ids":[1]}\n{"key":"a"}\n', 'in:2: "ids" is no list'],
  ["ndjson", '{"ids":[1]}\n', 'in:1: "key" is no string'],
  ["ndjson", '{"key":"a","ids":[1,2.5]}\n', "in:1: 2.5 is no ids[1]: it must be an integer from 0 to 4294967295"],
  [
    "ndjson",
    '\n{"key":"a","ids":[1],"byte_length":536870913}',
    "in:2: 536870913 is no byte_length: it must be an integer from 0 to 536870912",
  ],
  ["ndjson", '{"key":"\\ud800","ids":[1]}\n', 'in:1: "key" has half of a surrogate pair'],
  ["ndjson", "[1]\n", "in:1: the line is no JSON object"],
  ["ndjson", "{\n", "in:1: "],
  ["roaring", "", "in: the archive is cut off"],
  ["roaring", "x".repeat(1024), "in: it is no tar header"],
];

test.each(BAD.map(([kind, text, message]) => [kind, message, text] as const))(
  "a bad %s file is refused: %s",
  async (kind, message, text) => {
    await expect(read(kind, text, { idsMax: 1 })).rejects.toThrow(message);
  },
);

test("bytes that are not UTF-8 are refused in text files", async () => {
  await expect(read("csv", Buffer.from("key,id\n\xff,1\n", "latin1"))).rejects.toThrow("in:2: the key is not UTF-8");
  await expect(read("ndjson", Buffer.from('{"key":"\xff","ids":[]}', "latin1"))).rejects.toThrow(
    "in:1: the line is not UTF-8",
  );
});

test("statistics are a row or a line for each key", async () => {
  const all = [
    { database: 0, key: "a,b", ids: [3, 70_000], byteLength: 9000, deadline: 4102444800000 },
    { database: 2, key: "\xff", ids: [], byteLength: 0, deadline: NO_DEADLINE },
  ];
  const csv = (await written(CSV_STATISTICS, all)).toString().split("\n");
  expect(csv).toEqual([
    "database,key,cardinality,byte_length,roaring_bytes,first_id,last_id,expires_at",
    '0,"a,b",2,9000,28,3,70000,4102444800000',
    "2,base64:/w==,0,0,8,,,",
    "",
  ]);
  const lines = (await written(NDJSON_STATISTICS, all)).toString().trimEnd().split("\n");
  const [first, second] = lines.map((line) => JSON.parse(line) as unknown);
  const sizes = { cardinality: 2, byte_length: 9000, roaring_bytes: 28 };
  expect(first).toEqual({ database: 0, key: "a,b", ...sizes, first_id: 3, last_id: 70_000, expires_at: 4102444800000 });
  expect(second).toMatchObject({ key: "base64:/w==", cardinality: 0, first_id: null, expires_at: null });
});

describe.runIf(python)("Python's own readers and writers", () => {
  const run = (program: string, ...args: string[]) =>
    execFileSync("python3", ["-c", program, ...args], { encoding: "utf8" });

  test("records that Python's csv writes are read as it reads them", () => {
    const path = temporaryFolder();
    const random = dice("csv of Python");
    const program = `
import csv, json, random, sys
random.seed(int(sys.argv[1]))
pieces = ["a", "1", ",", '"', "\\n", "\\r\\n", " ", "\\u00e9", "\\u2028", "word", ""]
for i in range(60):
    style = dict(lineterminator=random.choice(["\\n", "\\r\\n"]), quoting=random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    with open(f"{sys.argv[2]}{i}.csv", "w", newline="", encoding=random.choice(["utf-8", "utf-8-sig"])) as f:
        w = csv.writer(f, **style)
        for r in range(random.randint(0, 12)):
            w.writerow(["".join(random.choices(pieces, k=random.randint(0, 5))) for c in range(random.randint(1, 4))])
    with open(f"{sys.argv[2]}{i}.csv", newline="", encoding="utf-8-sig") as f:
        json.dump([r for r in csv.reader(f) if r], open(f"{sys.argv[2]}{i}.json", "w"))
`;
    run(program, String(random.seed), path("/"));
    let records = 0;
    for (let i = 0; i < 60; i++) {
      const expected = JSON.parse(readFileSync(path(`${i}.json`), "utf8")) as string[][];
      expect(recordsOf(readFileSync(path(`${i}.csv`)), random.int(1, 40))).toEqual(expected);
      records += expected.length;
    }
    expect(records).toBeGreaterThan(100);
  });

  test("Python's csv and json read what is written", async () => {
    const path = temporaryFolder();
    const all = randomPlain(dice("read by Python"), 60);
    writeFileSync(path("ids.csv"), await written(CSV_IDS, all));
    writeFileSync(path("ids.ndjson"), await written(NDJSON_IDS, all));
    const program = `
import base64, csv, json, sys
def key(text):
    return base64.b64decode(text[7:]) if text.startswith("base64:") else text.encode()
by_csv, by_json = {}, {}
for row in csv.DictReader(open(sys.argv[1] + "ids.csv", newline="", encoding="utf-8")):
    by_csv.setdefault(f'{row["database"]}:{key(row["key"]).hex()}', []).append(int(row["id"]))
for line in open(sys.argv[1] + "ids.ndjson", encoding="utf-8", newline="\\n"):
    row = json.loads(line)
    by_json.setdefault(f'{row["database"]}:{key(row["key"]).hex()}', []).extend(row["ids"])
print(json.dumps([by_csv, by_json]))
`;
    const [byCsv, byJson] = JSON.parse(run(program, path("/"))) as Record<string, number[]>[];
    const expected = (plain: readonly Plain[]) =>
      Object.fromEntries(
        plain.map(({ database, key, ids }) => [`${database}:${Buffer.from(key, "latin1").toString("hex")}`, ids]),
      );
    expect(byCsv).toEqual(expected(asCsv(all)));
    expect(byJson).toEqual(expected(all));
  });

  test("archives by Python's tarfile are read, in each of its formats, and it reads ours", async () => {
    const path = temporaryFolder();
    const all = randomPlain(dice("tarfile"), 30).map((plain) => ({
      ...plain,
      key: plain.key + "k".repeat(plain.ids.length % 120),
    }));
    writeFileSync(path("ours.tar"), await written(ROARING_ARCHIVE, all));
    const program = `
import io, sys, tarfile
with tarfile.open(sys.argv[1] + "ours.tar") as ours:
    for name, format in dict(pax=tarfile.PAX_FORMAT, gnu=tarfile.GNU_FORMAT).items():
        with tarfile.open(f"{sys.argv[1]}{name}.tar", "w", format=format) as out:
            folder = tarfile.TarInfo("./0")
            folder.type = tarfile.DIRTYPE
            out.addfile(folder)
            for member in ours:
                data = ours.extractfile(member).read()
                info = tarfile.TarInfo("./" + member.name)
                info.size = len(data)
                info.mtime = 1.5
                info.pax_headers = {k: v for k, v in member.pax_headers.items() if k.startswith("BITMAPIST")}
                out.addfile(info, io.BytesIO(data))
`;
    run(program, path("/"));
    expect(await read("roaring", readFileSync(path("pax.tar")))).toEqual(sorted(all));
    const withoutAttributes = all.map((plain) => ({
      ...plain,
      byteLength: shortest(plain.ids),
      deadline: NO_DEADLINE,
    }));
    expect(await read("roaring", readFileSync(path("gnu.tar")), { chunkBytes: 100 })).toEqual(
      sorted(withoutAttributes),
    );
  });
});

test.runIf(tar)(
  "tar makes a folder of an archive, in which Roaring's library reads each file; and an archive of that folder",
  async () => {
    const path = temporaryFolder();
    const all = randomPlain(dice("tar"), 30).map((plain) => ({
      ...plain,
      byteLength: shortest(plain.ids),
      deadline: NO_DEADLINE,
    }));
    writeFileSync(path("ours.tar"), await written(ROARING_ARCHIVE, all));
    mkdirSync(path("folder"));
    execFileSync("tar", ["-xf", path("ours.tar"), "-C", path("folder")]);
    const found = readdirSync(path("folder")).flatMap((database) =>
      readdirSync(join(path("folder"), database)).map((file) => {
        const set = roaring.RoaringBitmap32.deserialize(readFileSync(join(path("folder"), database, file)), "portable");
        const key = decodeURIComponent(file.replace(/%[89A-F].|%00/g, "?").replace(/\.roaring$/, ""));
        return { database: Number(database), key, ids: set.toArray() };
      }),
    );
    const text = (key: string) => key.replace(/[\x80-\xff\0]/g, "?");
    const order = (list: { database: number; key: string; ids: number[] }[]) =>
      list.sort(
        (a, b) =>
          a.database - b.database || (a.key < b.key ? -1 : a.key > b.key ? 1 : a.ids.join() < b.ids.join() ? -1 : 1),
      );
    expect(order(found)).toEqual(order(all.map(({ database, key, ids }) => ({ database, key: text(key), ids }))));
    execFileSync("tar", ["-cf", path("again.tar"), "-C", path("folder"), "."]);
    const again = await read("roaring", readFileSync(path("again.tar")));
    expect(again).toEqual(sorted(all));
  },
);

test("an archive with any byte changed is read, or refused by the file's name", async () => {
  const all = [
    { database: 0, key: "a", ids: [1, 2, 3, 70_000], byteLength: 9000, deadline: 4102444800000 },
    { database: 1, key: "b", ids: Array.from({ length: 500 }, (_, i) => i), byteLength: 63, deadline: NO_DEADLINE },
  ];
  const whole = await written(ROARING_ARCHIVE, all);
  let refused = 0;
  for (let at = 0; at < whole.length; at++) {
    const damaged = Buffer.from(whole);
    damaged[at] = (damaged[at] as number) ^ 0xff;
    const result = await read("roaring", damaged).catch((error: Error) => error.message);
    if (typeof result !== "string") continue;
    expect(result).toMatch(/^in: /);
    refused++;
  }
  expect(refused).toBeGreaterThan(1000);
});

function recordsOf(bytes: Buffer, chunkBytes: number): string[][] {
  const reader = new CsvReader();
  const records: string[][] = [];
  const take = () => {
    while (reader.next()) {
      const fields = Array.from({ length: reader.fields }, (_, i) =>
        Buffer.from(reader.text(i), "latin1").toString("utf8"),
      );
      records.push(fields);
    }
  };
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    reader.push(Buffer.from(bytes.subarray(at, at + chunkBytes)));
    take();
  }
  reader.end();
  take();
  return records;
}

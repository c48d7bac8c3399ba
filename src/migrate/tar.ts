/**
 * Headers of a tar archive as POSIX has it (pax): what is needed to write plain files with attributes of their own, and to read what other
 * programs write. It must not know what the files are.
 */
export const BLOCK_BYTES = 512;

/** What follows the last member: two blocks of zeros. */
export const ARCHIVE_END = new Uint8Array(BLOCK_BYTES * 2);

const NAME_BYTES = 100;
const PREFIX_BYTES = 155;

/** Where the fields of a header are: start and length in bytes. */
const FIELD = {
  name: [0, NAME_BYTES],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  magic: [257, 6],
  prefix: [345, PREFIX_BYTES],
} as const satisfies Record<string, readonly [number, number]>;

type Field = keyof typeof FIELD;

/** What a member is, by its type flag. */
export const MEMBER = { FILE: "0", OLD_FILE: "\0", FOLDER: "5", PAX: "x", PAX_ALL: "g", GNU_LONG_NAME: "L" } as const;

export interface Header {
  /** As latin1. */
  name: string;
  size: number;
  /** One of MEMBER, or another letter. */
  type: string;
}

/** The header of a file of `size` bytes, with pax attributes before it where it needs any. */
export function fileHeader(
  name: string,
  size: number,
  attributes: Readonly<Record<string, string | number>>,
): Uint8Array {
  const all = name.length > NAME_BYTES ? { path: name, ...attributes } : attributes;
  const header = block(name.slice(0, NAME_BYTES), size, MEMBER.FILE);
  const records = Object.entries(all).map(([key, value]) => paxRecord(key, value));
  if (records.length === 0) return header;
  const content = Buffer.from(records.join(""), "latin1");
  return Buffer.concat([block("PaxHeader", content.length, MEMBER.PAX), content, padding(content.length), header]);
}

/** The zeros that fill a member's last block. */
export function padding(size: number): Uint8Array {
  return new Uint8Array((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES);
}

function block(name: string, size: number, type: string): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  const put = (field: Field, text: string) => header.write(text, FIELD[field][0], FIELD[field][1], "latin1");
  const number = (field: Field, value: number) => put(field, value.toString(8).padStart(FIELD[field][1] - 1, "0"));
  put("name", name);
  number("mode", 0o644);
  number("uid", 0);
  number("gid", 0);
  number("size", size);
  number("mtime", 0);
  put("type", type);
  // And the version, which follows at once.
  put("magic", "ustar\0");
  header.write("00", FIELD.magic[0] + FIELD.magic[1], "latin1");
  put("checksum", `${checksum(header).toString(8).padStart(6, "0")}\0 `);
  return header;
}

/** A record says its own length, with the digits of it. */
function paxRecord(key: string, value: string | number): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (`${length}${rest}`.length > length) length++;
  return `${length}${rest}`;
}

/** Reads a header; undefined for a block of zeros, which ends an archive. Throws where it is none. */
export function readHeader(bytes: Buffer): Header | undefined {
  if (bytes.every((byte) => byte === 0)) return undefined;
  const text = (field: Field) => textAt(bytes, FIELD[field][0], FIELD[field][1]);
  if (Number.parseInt(text("checksum").trim(), 8) !== checksum(bytes)) throw new Error("it is no tar header");
  const size = text("size").trim();
  if (!/^[0-7]+$/.test(size)) throw new Error("the size of a member can't be read");
  const prefix = text("magic") === "ustar" ? text("prefix") : "";
  const name = prefix === "" ? text("name") : `${prefix}/${text("name")}`;
  return { name, size: Number.parseInt(size, 8), type: String.fromCharCode(bytes[FIELD.type[0]] as number) };
}

/** A field up to its first zero byte. */
function textAt(bytes: Buffer, start: number, length: number): string {
  return bytes.toString("latin1", start, start + length).split("\0", 1)[0] as string;
}

/** The sum of a header's bytes, in which the checksum itself counts as spaces. */
function checksum(header: Buffer): number {
  const [start, length] = FIELD.checksum;
  let sum = length * 0x20;
  for (let i = 0; i < BLOCK_BYTES; i++) if (i < start || i >= start + length) sum += header[i] as number;
  return sum;
}

/** The attributes of a pax header's content. Throws where it is none. */
export function readAttributes(content: Buffer): Map<string, string> {
  const attributes = new Map<string, string>();
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(" ", at, "latin1");
    const length = Number(content.toString("latin1", at, space));
    const record = content.toString("latin1", space + 1, at + length);
    const equals = record.indexOf("=");
    if (space < 0 || !(length > 0) || at + length > content.length || equals < 0 || !record.endsWith("\n")) {
      throw new Error("a pax header is malformed");
    }
    attributes.set(record.slice(0, equals), record.slice(equals + 1, -1));
    at += length;
  }
  return attributes;
}

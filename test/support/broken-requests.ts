/**
 * Valid requests of every command, and ways to break their bytes. Bytes are latin1 strings: one character is one byte. Nothing here
 * may end the server or other connections, or touch database 15, which is that of good clients beside those who send this.
 */
import type { Dice } from "./random.js";
import { encodeRequest } from "./raw-client.js";

/** The database that no request here uses. */
export const GOOD_DATABASE = 15;

/** Commands that would do to the good clients what no limit is to prevent. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  "client|pause": "stops all clients for as long as it says",
  debug: "stops the server for as long as it says, where it is allowed at all",
  flushall: "deletes what good clients have written",
  shutdown: "ends the server",
  slurp: "replaces what good clients have written, by what another server has",
};

/** One or more for each command and subcommand, with as many of their words as can stand together. */
const LINES = `
  ACL CAT bitmap|ACL DELUSER eve|ACL DRYRUN default GET a|ACL GENPASS 64|ACL GETUSER eve|ACL HELP|ACL LIST|ACL LOAD|ACL LOG 5
  ACL SAVE|ACL SETUSER eve on >secret ~a* &news +@read -keys|ACL USERS|ACL WHOAMI|AUTH eve secret|AUTH secret
  APPEND a tail|ASKING|BGSAVE SCHEDULE|BITADD a 1 7 65536|BITADDRANGE a 10 200|BITCONTAINS a ALL 1 7
  BITCOUNT a 0 -1 BIT|BITCOUNT a|BITFIELD a INCRBY u8 #1 5 OVERFLOW SAT SET i16 100 -3 GET u4 0|BITFIELD_RO a GET u8 0
  BITJACCARD a b|BITMAX a|BITMIN a|BITOP AND c a b|BITOP NOT c a|BITOP DIFF1 c a b|BITOP ONE c a b|BITOPCARD OR a b LIMIT 10
  BITOPTIMIZE a|BITPOS a 1 2 -1|BITPOS a 0 0 99 BIT|BITRANGE a 0 100|BITRANK a 7|BITREM a 1 7|BITREMRANGE a 10 20
  BITSCAN a 0 COUNT 10|BITSELECT a 1|BITSTAT a
  CLIENT CACHING yes|CLIENT GETNAME|CLIENT GETREDIR|CLIENT HELP|CLIENT ID|CLIENT INFO|CLIENT KILL ADDR 127.0.0.1:1 SKIPME yes
  CLIENT LIST TYPE normal|CLIENT NO-EVICT on|CLIENT NO-TOUCH on|CLIENT REPLY SKIP|CLIENT SETINFO lib-name me|CLIENT SETNAME me
  CLIENT TRACKING off|CLIENT TRACKINGINFO|CLIENT UNBLOCK 999999999 ERROR|CLIENT UNPAUSE
  CLUSTER ADDSLOTS 1|CLUSTER ADDSLOTSRANGE 1 2|CLUSTER BUMPEPOCH|CLUSTER COUNT-FAILURE-REPORTS x|CLUSTER COUNTKEYSINSLOT 1
  CLUSTER DELSLOTS 1|CLUSTER DELSLOTSRANGE 1 2|CLUSTER FAILOVER FORCE|CLUSTER FLUSHSLOTS|CLUSTER FORGET x|CLUSTER GETKEYSINSLOT 1 2
  CLUSTER HELP|CLUSTER INFO|CLUSTER KEYSLOT a|CLUSTER LINKS|CLUSTER MEET 127.0.0.1 1|CLUSTER MYID|CLUSTER NODES|CLUSTER REPLICAS x
  CLUSTER REPLICATE x|CLUSTER RESET HARD|CLUSTER SAVECONFIG|CLUSTER SET-CONFIG-EPOCH 1|CLUSTER SETSLOT 1 STABLE|CLUSTER SHARDS
  CLUSTER SLAVES x|CLUSTER SLOTS
  COHORT ROWS 2 a b COLUMNS 1 c|COHORT ROWS 1 ROWS AND 1 a DIFF 1 b COLUMNS 2 COLUMNS AND OR 2 a b c STEPS 1
  COMMAND|COMMAND COUNT|COMMAND DOCS get|COMMAND GETKEYS MSET a 1|COMMAND GETKEYSANDFLAGS SET a 1|COMMAND HELP|COMMAND INFO get
  COMMAND LIST FILTERBY PATTERN bit*
  CONFIG GET * save|CONFIG HELP|CONFIG RESETSTAT|CONFIG REWRITE|CONFIG SET latency-monitor-threshold 100
  COPY a c DB 3 REPLACE|DBSIZE|DECR n|DECRBY n 7|DEL a b|DISCARD|DUMP a|ECHO text|EXEC|EXISTS a b
  EXPIRE a 100 NX|EXPIREAT a 1900000000 GT|EXPIRETIME a|FLUSHDB ASYNC|GET a|GETBIT b 77|GETDEL b|GETEX a PX 100000|GETRANGE a -10 99
  GETSET a value|HELLO 3 SETNAME me|HELLO 2 AUTH eve secret|INCR n|INCRBY n 7|INCRBYFLOAT f 1.5e3|INFO all|KEYS [a-c]*\\?|LASTSAVE
  LATENCY DOCTOR|LATENCY GRAPH command|LATENCY HELP|LATENCY HISTOGRAM get|LATENCY HISTORY command|LATENCY LATEST|LATENCY RESET
  LOLWUT VERSION 5|MEMORY DOCTOR|MEMORY HELP|MEMORY MALLOC-STATS|MEMORY PURGE|MEMORY STATS|MEMORY USAGE a SAMPLES 5|MGET a b
  MODULE HELP|MODULE LIST|MODULE LOAD x|MODULE LOADEX x|MODULE UNLOAD x|MONITOR|MOVE a 3|MSET a 1 b 2|MSETNX a 1 d 2|MULTI
  OBJECT ENCODING a|OBJECT FREQ a|OBJECT HELP|OBJECT IDLETIME a|OBJECT REFCOUNT a|PERSIST a|PEXPIRE a 100000 XX
  PEXPIREAT b 1900000000000 LT|PEXPIRETIME a|PING text|PSETEX b 100000 value|PSUBSCRIBE n* m?|PTTL a
  PUBLISH news text|PUBSUB CHANNELS n*|PUBSUB HELP|PUBSUB NUMPAT|PUBSUB NUMSUB news|PUBSUB SHARDCHANNELS n*|PUBSUB SHARDNUMSUB news
  PUNSUBSCRIBE n*|QUIT|R.APPENDINTARRAY r 1 2 3|R.DELETEINTARRAY r 2|R.GETBIT r 1|R.GETINTARRAY r|R.MAX r|R.MIN r
  R.RANGEINTARRAY r 0 2|R.SETBIT r 9 1|R.SETINTARRAY r 1 5 9|RANDOMKEY|READONLY|READWRITE|RENAME a b|RENAMENX a d|REPLICAOF NO ONE
  RESET|RESTORE d 0 payload REPLACE ABSTTL IDLETIME 5|ROLE|SAVE|SCAN 0 MATCH a* COUNT 10 TYPE string|SELECT 2
  SET a value EX 100 GET|SET a 12345 NX|SETBIT a 1000 1|SETEX a 100 value|SETNX b value|SETRANGE a 5 value|SLAVEOF NO ONE
  SLOWLOG GET 5|SLOWLOG HELP|SLOWLOG LEN|SLOWLOG RESET|SPUBLISH news text|SSUBSCRIBE news|STRLEN a|SUBSCRIBE news more|SUBSTR a 1 3
  SUNSUBSCRIBE news|SWAPDB 2 3|TIME|TOUCH a b|TTL a|TYPE a|UNLINK a b|UNSUBSCRIBE news|UNWATCH|WAIT 0 1|WAITAOF 0 0 1|WATCH a b
`;

/** Each as its arguments. */
export const REQUESTS: readonly (readonly string[])[] = LINES.trim()
  .split(/[|\n]/)
  .map((line) => line.trim().split(" "));

/** What headers are made of, and what is likely to be wrong with them. */
const SPICE = [
  "\r\n",
  "\r",
  "\n",
  "$",
  "*",
  "$-1\r\n",
  "*-1\r\n",
  "*0\r\n",
  "$0\r\n\r\n",
  "\x00",
  "\xff",
  '"',
  "'",
  "\\x",
  " ",
  "-",
  "+1",
  "007",
];
const NUMBERS = [
  "0",
  "1",
  "-1",
  "7",
  "64",
  "65536",
  "1048576",
  "1048577",
  "2147483647",
  "4294967295",
  "4294967296",
  "9223372036854775808",
];

const SPAN_BYTES_MAX = 12;
/** How many requests of all come as a line. */
const INLINE_SHARE = 0.2;

/** A request as it should be, in wire form. */
export function goodRequest(random: Dice): string {
  const argv = random.pick(REQUESTS);
  return random.next() < INLINE_SHARE ? `${argv.join(" ")}\r\n` : encodeRequest(argv).toString("latin1");
}

/** The bytes with one thing wrong: some flipped, removed, doubled or put in, a number changed, or the end cut off. */
export function mutate(bytes: string, random: Dice): string {
  const at = random.int(0, bytes.length);
  const span = random.int(1, SPAN_BYTES_MAX);
  switch (random.pick(["flip", "cut", "drop", "double", "spice", "number"])) {
    case "flip":
      return bytes.slice(0, at) + String.fromCharCode(random.int(0, 255)) + bytes.slice(at + 1);
    case "cut":
      return bytes.slice(0, at);
    case "drop":
      return bytes.slice(0, at) + bytes.slice(at + span);
    case "double":
      return bytes.slice(0, at) + bytes.slice(Math.max(0, at - span));
    case "spice":
      return bytes.slice(0, at) + random.pick(SPICE) + bytes.slice(at);
    default: {
      const numbers = [...bytes.matchAll(/-?\d+/g)];
      const found = numbers[random.int(0, Math.max(0, numbers.length - 1))];
      if (found === undefined) return bytes;
      return bytes.slice(0, found.index) + random.pick(NUMBERS) + bytes.slice(found.index + found[0].length);
    }
  }
}

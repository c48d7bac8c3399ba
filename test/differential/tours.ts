/**
 * Hand-written runs that visit every command and every error on purpose, where random ones only probably do.
 * A line is a command as one types it (`"..."` with \xHH for bytes); `1>` puts it on the second connection, `+500` lets
 * both clocks go on by so many milliseconds, `scan ...` walks SCAN to its end, `quit` ends the connection and opens another.
 */
import { payloadOf } from "./generators.js";
import { formatBytes, type Step } from "./steps.js";

const quotedPayload = (body: number[], version?: number) => formatBytes(payloadOf(Buffer.from(body), version));
const PAYLOAD = {
  FIVE: quotedPayload([0, 0xc0, 5]),
  LZF: quotedPayload([0, 0xc3, 4, 6, 0, 0x61, 0x60, 0]),
  OLD: quotedPayload([0, 3, 0x61, 0x62, 0x63], 1),
  TOO_NEW: quotedPayload([0, 1, 0x61], 12),
  LIST: quotedPayload([1, 60]),
  CUT_OFF: quotedPayload([0, 60, 0x61]),
  NO_LENGTH: quotedPayload([0, 0x82, 0, 0, 0, 0]),
};

const TOURS: Readonly<Record<string, string>> = {
  "SETBIT GETBIT": `
    SETBIT
    SETBIT a 1
    SETBIT a 1 1 1
    GETBIT a
    GETBIT a 0 0
    SETBIT a 7 1
    SETBIT a 7 1
    SETBIT a 7 0
    SETBIT b 100 0
    STRLEN b
    GET b
    GETBIT a 7
    GETBIT a 4294967295
    GETBIT c 0
    SETBIT a 007 1
    SETBIT a +1 1
    SETBIT a -1 1
    SETBIT a 4294967296 1
    SETBIT a 99999999999999999999 1
    SETBIT a abc 1
    SETBIT a "" 1
    SETBIT a " 1" 1
    SETBIT a 1.0 1
    SETBIT a 1 2
    SETBIT a 1 -1
    SETBIT a 1 01
    SETBIT a 1 x
    SETBIT a x x
    GETBIT a 007
    GETBIT a 4294967296
    SET c 123
    SETBIT c 1 0
    GET c
    SETBIT "" 3 1
    SETBIT "\\x00\\xff\\r\\n\\x80" 3 1
    GET "\\x00\\xff\\r\\n\\x80"
    setbit a 15 1
    GET a
  `,
  BITCOUNT: `
    BITCOUNT
    BITCOUNT a
    SET a foobar
    BITCOUNT a
    BITCOUNT a 0
    BITCOUNT a 0 0
    BITCOUNT a 1 1
    BITCOUNT a 0 -1
    BITCOUNT a -2 -1
    BITCOUNT a -1 -2
    BITCOUNT a 5 30 BIT
    BITCOUNT a 5 30 bit
    BITCOUNT a 1 1 BYTE
    BITCOUNT a -100 100
    BITCOUNT a -100 -90 BIT
    BITCOUNT a 7 8
    BITCOUNT a 0 0 FOO
    BITCOUNT a 0 0 BIT x
    BITCOUNT a x 0
    BITCOUNT a 0 1.5
    BITCOUNT a 9223372036854775807 -9223372036854775808
    BITCOUNT a -9223372036854775808 9223372036854775807
    BITCOUNT a 9223372036854775808 0
    BITCOUNT b x y
    BITCOUNT b 0 0 FOO
    BITCOUNT b 0 -1
  `,
  BITPOS: `
    BITPOS
    BITPOS a
    BITPOS a 1
    BITPOS a 0
    BITPOS a 2
    BITPOS a x
    BITPOS a 1 0
    BITPOS a 0 5
    BITPOS a 0 0 -1
    SET a "\\xff\\xf0\\x00"
    BITPOS a 0
    BITPOS a 1
    BITPOS a 1 1
    BITPOS a 1 2
    BITPOS a 1 2 2
    BITPOS a 0 2
    BITPOS a 1 -1
    BITPOS a 1 -2 -1
    BITPOS a 0 9 15 BIT
    BITPOS a 0 9 11 BIT
    BITPOS a 1 12 23 bit
    BITPOS a 0 0 0 BYTE
    BITPOS a 0 0 0 FOO
    BITPOS a 0 0 0 BIT x
    BITPOS a 0 BIT
    BITPOS a 0 x
    BITPOS a 0 0 x
    BITPOS a 0 5 4
    SET b "\\xff\\xff\\xff"
    BITPOS b 0
    BITPOS b 0 0
    BITPOS b 0 0 -1
    BITPOS b 0 0 -1 BIT
    BITPOS b 0 3
    SET c ""
    BITPOS c 0
    BITPOS c 1
    BITPOS c 0 0 -1
  `,
  BITOP: `
    BITOP
    BITOP AND a
    BITOP NOT a b c
    BITOP NAND a b
    BITOP "" a b
    SET a "\\xff\\x0f"
    SET b "\\xf0\\xf0\\xf0"
    BITOP AND c a b
    GET c
    BITOP OR c a b
    GET c
    BITOP XOR c a b
    GET c
    BITOP NOT c a
    GET c
    bitop and c a nokey
    GET c
    BITOP or a a b a
    GET a
    BITOP XOR a a a
    GET a
    BITOP NOT a a
    GET a
    BITOP AND a nokey
    EXISTS a
    BITOP OR a nokey nokey2
    BITOP NOT a nokey
    BITOP AND c b
    EXPIRE c 10
    BITOP AND c b b
    TTL c
    BITOP OR "" b
    GET ""
  `,
  "BITFIELD BITFIELD_RO": `
    BITFIELD
    BITFIELD a
    EXISTS a
    BITFIELD a GET u8 0 GET i64 #3
    EXISTS a
    BITFIELD a SET u8 0 255 GET i8 0 GET u4 4
    GET a
    BITFIELD a INCRBY u2 100 1 OVERFLOW SAT INCRBY u2 102 1
    BITFIELD a INCRBY u2 100 1 OVERFLOW SAT INCRBY u2 102 1
    BITFIELD a INCRBY u2 100 1 OVERFLOW SAT INCRBY u2 102 1
    BITFIELD a INCRBY u2 100 1 OVERFLOW SAT INCRBY u2 102 1
    BITFIELD a OVERFLOW FAIL INCRBY u2 102 1
    BITFIELD a OVERFLOW FAIL INCRBY i8 0 127 INCRBY i8 0 -127 OVERFLOW WRAP INCRBY i8 0 -10
    bitfield a overflow sat incrby i5 3 100 get i5 3 overflow wrap set i5 3 -17 get i5 3
    BITFIELD a SET i64 13 -9223372036854775808 INCRBY i64 13 -1 OVERFLOW SAT INCRBY i64 13 1 OVERFLOW FAIL INCRBY i64 13 1
    BITFIELD a SET u63 7 9223372036854775807 INCRBY u63 7 1 OVERFLOW SAT INCRBY u63 7 -5 OVERFLOW FAIL INCRBY u63 7 -5
    BITFIELD a OVERFLOW SAT SET u8 #0 -1 GET u8 #0 SET u8 #0 -9223372036854775808 GET u8 #0
    BITFIELD a OVERFLOW SAT SET i8 #0 -9223372036854775808 GET i8 #0 SET i8 #0 -9223372036854775680 GET i8 #0
    BITFIELD a OVERFLOW SAT SET i8 #0 -9223372036854775681 GET i8 #0 SET i8 #0 9223372036854775807 GET i8 #0
    BITFIELD a GET i8 #4611686018427387904 GET i8 #9223372036854775807
    BITFIELD a GET u63 4294967295
    BITFIELD a GET u8 4294967296
    BITFIELD a GET u8 -1
    BITFIELD a GET u8 #-1
    BITFIELD a GET u8 ##1
    BITFIELD a GET u8 #
    BITFIELD a GET u8 ""
    BITFIELD a GET u8 01
    BITFIELD a GET u64 0
    BITFIELD a GET i65 0
    BITFIELD a GET i0 0
    BITFIELD a GET I8 0
    BITFIELD a GET i 0
    BITFIELD a GET 8 0
    BITFIELD a GET "" 0
    BITFIELD a GET "i8\\x00x" 0
    BITFIELD a GET u8
    BITFIELD a SET u8 0
    BITFIELD a SET u8 0 x
    BITFIELD a SET u8 x x
    BITFIELD a SET x x x
    BITFIELD a INCRBY u8 0 9223372036854775808
    BITFIELD a FOO u8 0
    BITFIELD a OVERFLOW
    BITFIELD a OVERFLOW x
    BITFIELD a OVERFLOW FAIL
    BITFIELD a GET u8 0 SET u8 0 1 GET u8
    BITFIELD b OVERFLOW FAIL SET u8 32 256
    STRLEN b
    BITFIELD b SET u8 32 0
    GET b
    EXPIRE b 10
    BITFIELD b SET u8 0 65
    TTL b
    BITFIELD_RO
    BITFIELD_RO b
    BITFIELD_RO b GET u8 0 GET u16 0
    BITFIELD_RO nokey GET u8 0
    BITFIELD_RO b SET u8 0 1
    BITFIELD_RO b GET u8 0 INCRBY u8 0 1
    BITFIELD_RO b OVERFLOW SAT
    BITFIELD_RO b SET u8 x 1
    WATCH c
    1> BITFIELD c OVERFLOW FAIL SET u8 0 256
    MULTI
    STRLEN c
    EXEC
    WATCH c
    1> BITFIELD c SET u8 0 0
    MULTI
    EXEC
    WATCH c
    1> BITFIELD c SET u8 8 0
    MULTI
    EXEC
    WATCH c
    1> BITFIELD c INCRBY u8 8 1
    MULTI
    BITFIELD c GET u8 8
    EXEC
    HELLO 3
    BITFIELD a OVERFLOW FAIL SET u8 0 256
    HELLO 2
  `,
  "GET SET": `
    GET
    GET a b
    SET a
    SET
    GET a
    SET a 1
    SET a 2 NX
    SET b 2 NX
    SET c 2 XX
    SET a 3 XX
    SET a 4 GET
    SET c 4 GET
    SET c 5 NX GET
    SET d 5 NX GET
    SET a 5 NX XX
    SET a 5 FOO
    SET a 5 EX
    SET a 5 EX 0
    SET a 5 EX -1
    SET a 5 EX x
    SET a 5 EX 9223372036854775807
    SET a 5 PX 0
    SET a 5 PX 9223372036854775807
    SET a 5 EX 10 PX 10
    SET a 5 EX 10 KEEPTTL
    SET a 5 EX 10
    TTL a
    SET a 6 KEEPTTL
    TTL a
    SET a 7
    TTL a
    SET a 8 px 1500 nx
    set a 8 xx get px 1500
    PTTL a
    +1500
    GET a
    +1
    GET a
    SET a 9 EXAT 1
    GET a
    SET a 9 EXAT 0
    SET a 9 PXAT -5
    SET a 9 EXAT 1800000005
    TTL a
    PEXPIRETIME a
    SET a 9 PXAT 1800000005555 GET
    PEXPIRETIME a
    SET "" ""
    GET ""
    SET a "\\x00\\xff\\r\\n"
    GET a
  `,
  "STRLEN GETRANGE MGET MSET": `
    STRLEN
    STRLEN a
    SET a "Hello, world"
    STRLEN a
    GETRANGE a
    GETRANGE a 0
    GETRANGE a 0 4
    GETRANGE a -5 -1
    GETRANGE a 0 -1
    GETRANGE a 5 3
    GETRANGE a -1 -5
    GETRANGE a 100 200
    GETRANGE a 11 200
    GETRANGE a -200 0
    GETRANGE a x 1
    GETRANGE a 0 1.5
    GETRANGE a 9223372036854775807 -9223372036854775808
    GETRANGE b 0 -1
    MGET
    MGET a
    MGET a b a
    MSET
    MSET a
    MSET a 1 b
    MSET a 1 b 2 a 3
    MGET a b c
    EXPIRE a 10
    MSET a 4
    TTL a
  `,
  "SETRANGE APPEND SUBSTR": `
    SETRANGE
    SETRANGE a 0
    SETRANGE a 0 ""
    EXISTS a
    SETRANGE a 99999999999 ""
    SETRANGE a 3 abc
    GET a
    SETRANGE a 1 X
    SETRANGE a 5 yz
    GET a
    SETRANGE a 100 ""
    SETRANGE a -1 x
    SETRANGE a -1 ""
    SETRANGE a x x
    SETRANGE a 01 x
    SETRANGE a 536870912 x
    SETRANGE a 536870911 xx
    SETRANGE a 9223372036854775807 x
    SETRANGE a 9223372036854775808 x
    SETRANGE b 536870912 x
    EXISTS b
    EXPIRE a 10
    SETRANGE a 0 q
    TTL a
    APPEND
    APPEND a
    APPEND a b c
    APPEND a "\\x00\\xff"
    GET a
    TTL a
    APPEND b ""
    EXISTS b
    APPEND b ""
    APPEND b x
    APPEND c xyz
    SUBSTR
    SUBSTR a 0
    SUBSTR a 0 2
    SUBSTR a -2 -1
    SUBSTR a x 1
    WATCH a
    1> SETRANGE a 0 q
    MULTI
    EXEC
    WATCH a
    1> SETRANGE a 0 ""
    MULTI
    EXEC
    WATCH a
    1> APPEND a ""
    MULTI
    EXEC
    SET a 1 PX 10
    +11
    APPEND a 2
    GET a
    SET a 1 PX 10
    +11
    SETRANGE a 1 2
    GET a
  `,
  "GETDEL GETEX GETSET SETEX PSETEX SETNX MSETNX": `
    GETDEL
    GETDEL a
    GETDEL a b
    SET a 1
    GETDEL a
    EXISTS a
    SET a ""
    GETDEL a
    EXISTS a
    GETEX
    GETEX a
    GETEX a EX x
    GETEX a EX
    GETEX a FOO
    SET a 1
    GETEX a
    GETEX a EX 10
    TTL a
    GETEX a
    TTL a
    getex a px 1500
    PTTL a
    GETEX a PERSIST
    TTL a
    GETEX a PERSIST PERSIST
    GETEX a EXAT 1800000005
    PEXPIRETIME a
    GETEX a PXAT 1800000005555
    PEXPIRETIME a
    GETEX a EX 1 EX 20
    TTL a
    GETEX a EX 0
    GETEX a EX -1
    GETEX a EX x
    GETEX a EX 9223372036854775807
    GETEX a PX 9223372036854775807
    GETEX a EX
    GETEX a PERSIST EX 10
    GETEX a EX 10 PERSIST
    GETEX a EX 10 PX 10
    GETEX a KEEPTTL
    GETEX a NX
    GETEX a EXAT 1
    EXISTS a
    SET a 1
    GETEX a PXAT 1800000000123
    EXISTS a
    GETSET
    GETSET a
    GETSET a 1
    EXPIRE a 10
    GETSET a 2
    TTL a
    SETEX
    SETEX a 1
    SETEX a 0 x
    SETEX a -1 x
    SETEX a x x
    SETEX a 9223372036854775807 x
    SETEX a 9223372036854775 x
    GET a
    SETEX a 10 x
    TTL a
    PSETEX
    PSETEX a 0 x
    PSETEX a 1.5 x
    PSETEX a 9223372036854775807 x
    PSETEX a 1500 y
    PTTL a
    SETNX
    SETNX a 1
    SETNX d 1
    SETNX d 2
    GET d
    +1501
    SETNX a 1
    TTL a
    MSETNX
    MSETNX a
    MSETNX a 1 b
    MSETNX e 1 d 2
    EXISTS e
    MSETNX e 1 f 2 e 3
    MGET e f
    WATCH e
    1> GETDEL e
    MULTI
    EXEC
    SET e 1
    WATCH e
    1> GETEX e
    MULTI
    EXEC
    WATCH e
    1> GETEX e PERSIST
    MULTI
    EXEC
    WATCH e
    1> GETEX e EX 10
    MULTI
    EXEC
    WATCH e
    1> GETEX e PERSIST
    MULTI
    EXEC
    WATCH e
    1> SETNX e 2
    1> MSETNX e 2
    MULTI
    EXEC
  `,
  "INCR DECR INCRBY DECRBY INCRBYFLOAT": `
    INCR
    INCR a b
    INCR a
    INCR a
    DECR
    DECR a
    DECR b
    GET b
    INCRBY
    INCRBY a
    INCRBY a 41
    INCRBY a -2
    INCRBY a x
    INCRBY a 1.5
    INCRBY a 01
    INCRBY a 9223372036854775808
    INCRBY a 9223372036854775807
    SET a 9223372036854775806
    INCR a
    INCR a
    GET a
    INCRBY a -9223372036854775808
    DECRBY
    DECRBY a
    DECRBY a 9223372036854775807
    DECRBY a 1
    DECRBY a -9223372036854775808
    DECRBY a x
    SET a ""
    INCR a
    SET a " 1"
    INCR a
    SET a 01
    INCR a
    SET a 1.0
    INCR a
    SET a 99999999999999999999999
    INCR a
    SETBIT c 2 1
    INCR c
    SET a 5 EX 10
    INCR a
    TTL a
    INCRBYFLOAT a 0.5
    TTL a
    INCRBYFLOAT
    INCRBYFLOAT a
    INCRBYFLOAT a 1 2
    INCRBYFLOAT a 5.0e3
    INCRBYFLOAT a -5006.4
    INCRBYFLOAT a x
    INCRBYFLOAT a ""
    INCRBYFLOAT a nan
    INCRBYFLOAT a inf
    INCRBYFLOAT a -Infinity
    INCRBYFLOAT a 0x1p-3
    SET a 3.0e3
    INCRBYFLOAT a 200
    SET a 10.50
    INCRBYFLOAT a 0.1
    SET a 0.1
    INCRBYFLOAT a 0.2
    SET a 1e-17
    INCRBYFLOAT a 0
    INCRBYFLOAT a -15e-18
    SET a -0
    INCRBYFLOAT a -0.0
    SET a 1e4932
    INCRBYFLOAT a 1e4932
    STRLEN a
    SET a ""
    INCRBYFLOAT a 1
    SET a " 1"
    INCRBYFLOAT a 1
    SET a inf
    INCRBYFLOAT a 1
    INCRBYFLOAT a -inf
    INCRBYFLOAT a x
    SET a 1e4933
    INCRBYFLOAT a 1
    INCRBYFLOAT d 1e-4950
    GET d
    WATCH a
    1> INCRBY a x
    1> INCRBYFLOAT a x
    MULTI
    SET a 7
    INCR a
    EXEC
    WATCH a
    1> INCRBY a 0
    MULTI
    EXEC
  `,
  "DEL UNLINK EXISTS TOUCH TYPE": `
    DEL
    UNLINK
    EXISTS
    TOUCH
    TYPE
    TYPE a b
    MSET a 1 b 2 c 3
    EXISTS a b nokey a
    TOUCH a nokey
    TYPE a
    TYPE nokey
    DEL a nokey a
    UNLINK b b c
    EXISTS a b c
    SET a 1 PX 10
    +11
    DEL a
    EXISTS a
    TYPE a
    DBSIZE
  `,
  "KEYS SCAN RANDOMKEY DBSIZE": `
    KEYS
    KEYS a b
    KEYS *
    RANDOMKEY
    RANDOMKEY x
    DBSIZE
    DBSIZE x
    SCAN
    SCAN 0
    MSET aa 1 ab 2 b/c 3 "" 4 "[x]" 5 "x*y" 6 "\\x00\\xff" 7 A 8
    DBSIZE
    KEYS *
    KEYS **
    KEYS a*
    KEYS ?
    KEYS ??
    KEYS *[bc]
    KEYS a[^a]
    KEYS [a-z]*
    KEYS [z-a]*
    KEYS "\\\\[x\\\\]"
    KEYS "x\\\\*y"
    KEYS "[\\\\[]x]"
    KEYS "[x"
    KEYS "*\\xff"
    KEYS ""
    KEYS b*c
    KEYS b?c
    RANDOMKEY
    SCAN 0 COUNT 1000
    SCAN 0 MATCH a* COUNT 1000
    scan 0 match * count 1000
    SCAN 0 TYPE string COUNT 1000
    SCAN 0 TYPE hash COUNT 1000
    SCAN 0 COUNT
    SCAN 0 COUNT 0
    SCAN 0 COUNT -1
    SCAN 0 COUNT x
    SCAN 0 FOO
    SCAN 0 FOO x
    SCAN x
    SCAN 1.5
    scan
    scan COUNT 1
    scan COUNT 3 MATCH *[ab]*
    scan TYPE string
    scan TYPE list
    PEXPIRE aa 5
    +6
    KEYS a*
    scan MATCH a*
    DBSIZE
  `,
  "RENAME RENAMENX COPY MOVE SWAPDB SELECT": `
    RENAME
    RENAME a
    RENAME a b
    RENAME a a
    RENAMENX a b
    RENAMENX a
    SET a 1 EX 10
    RENAME a a
    TTL a
    RENAMENX a a
    RENAME a b
    TTL b
    SET c 3
    RENAMENX b c
    RENAMENX b d
    RENAME c d
    TTL d
    GET d
    COPY
    COPY a
    COPY a b
    COPY d d
    COPY d e
    COPY d e
    COPY d e REPLACE
    COPY d e DB 1
    COPY d d DB 1 REPLACE
    COPY d e DB
    COPY d e DB x
    COPY d e DB 16
    COPY d e DB -1
    COPY d e FOO
    COPY d e replace db 1
    SELECT 1
    KEYS *
    MOVE
    MOVE d
    MOVE d 1
    MOVE d 0
    MOVE e 2
    MOVE e 2
    MOVE e 16
    MOVE e -1
    MOVE e x
    SELECT 2
    KEYS *
    SELECT
    SELECT 16
    SELECT -1
    SELECT x
    SELECT 01
    SWAPDB
    SWAPDB 0
    SWAPDB 0 2
    SWAPDB 2 2
    SWAPDB x 0
    SWAPDB 0 x
    SWAPDB 16 0
    SWAPDB 0 -1
    KEYS *
    SELECT 0
    KEYS *
    1> KEYS *
    1> SELECT 15
    1> SET z 1 EX 5
    1> MOVE z 0
    TTL z
    COPY z y
    PTTL y
  `,
  "EXPIRE and its kin": `
    EXPIRE
    EXPIRE a
    EXPIRE a 10
    PEXPIRE a
    EXPIREAT a
    PEXPIREAT a
    TTL
    PTTL
    EXPIRETIME
    PEXPIRETIME
    PERSIST
    TTL a
    PTTL a
    EXPIRETIME a
    PEXPIRETIME a
    PERSIST a
    SET a 1
    TTL a
    PTTL a
    EXPIRETIME a
    PEXPIRETIME a
    PERSIST a
    EXPIRE a 10 XX
    EXPIRE a 10 GT
    EXPIRE a 10 NX
    EXPIRE a 20 NX
    EXPIRE a 5 GT
    EXPIRE a 20 GT
    EXPIRE a 30 LT
    EXPIRE a 15 LT
    EXPIRE a 15 xx
    TTL a
    PTTL a
    EXPIRETIME a
    PEXPIRETIME a
    PERSIST a
    EXPIRE a 10 LT
    EXPIRE a 10 NX XX
    EXPIRE a 10 NX GT
    EXPIRE a 10 NX LT
    EXPIRE a 10 GT LT
    EXPIRE a 10 XX GT
    EXPIRE a 10 FOO
    EXPIRE a x
    EXPIRE a 1.5
    EXPIRE a 9223372036854775807
    EXPIRE a -9223372036854775808
    PEXPIRE a 9223372036854775807
    EXPIREAT a 9223372036854775807
    PEXPIREAT a 9223372036854775807
    PEXPIREAT a 1800000002000
    PTTL a
    TTL a
    EXPIRETIME a
    EXPIREAT a 1800000003
    PTTL a
    TTL a
    +500
    TTL a
    PTTL a
    PEXPIRE a 400
    +400
    PTTL a
    GET a
    +1
    PTTL a
    GET a
    SET a 1
    EXPIRE a 0
    EXISTS a
    SET a 1
    EXPIRE a -5
    EXISTS a
    SET a 1
    PEXPIREAT a 5
    EXISTS a
    SET a 1
    EXPIREAT a 1
    EXISTS a
    SETBIT a 5 1
    PEXPIRE a 100
    SETBIT a 6 1
    PTTL a
    +101
    GETBIT a 5
    SETBIT a 6 1
    GET a
    PTTL a
  `,
  "FLUSHDB FLUSHALL": `
    SET a 1
    1> SELECT 1
    1> SET a 1
    FLUSHDB x
    FLUSHDB ASYNC SYNC
    FLUSHDB
    DBSIZE
    1> DBSIZE
    FLUSHALL x
    FLUSHALL ASYNC
    1> DBSIZE
    flushdb sync
    flushall sync
  `,
  "MULTI EXEC DISCARD WATCH UNWATCH": `
    EXEC
    DISCARD
    MULTI x
    EXEC
    WATCH
    UNWATCH x
    MULTI
    MULTI
    SET a 1
    SETBIT a 9 1
    GET a
    KEYS *
    EXEC
    MULTI
    EXEC
    MULTI
    SET a 2
    DISCARD
    GET a
    MULTI
    NOSUCH
    SET a 3
    EXEC
    MULTI
    SET a
    EXEC
    GET a
    MULTI
    WATCH a
    SET a 4
    EXEC
    MULTI
    SETBIT a x 1
    SET a 5
    BITOP NOT a a b
    EXEC
    GET a
    MULTI
    SAVE
    EXEC
    WATCH a
    1> SET a 6
    MULTI
    GET a
    EXEC
    WATCH a
    SET a 7
    MULTI
    EXEC
    WATCH a
    1> SET b 1
    MULTI
    GET a
    EXEC
    WATCH a b
    1> DEL nokey
    UNWATCH
    1> SET a 8
    MULTI
    GET a
    EXEC
    WATCH nokey
    1> SET nokey 1
    MULTI
    EXEC
    SET a 1 PX 100
    WATCH a
    +101
    MULTI
    SET a 2
    EXEC
    SET a 1 PX 100
    +101
    WATCH a
    MULTI
    SET a 2
    EXEC
    WATCH a
    1> FLUSHDB
    MULTI
    EXEC
    WATCH a
    1> FLUSHDB
    MULTI
    EXEC
    SET a 1
    WATCH a
    1> RENAME a b
    MULTI
    EXEC
    WATCH a
    1> COPY b a
    MULTI
    EXEC
    WATCH a
    1> EXPIRE a 100
    MULTI
    EXEC
    WATCH a
    1> PERSIST a
    MULTI
    EXEC
    WATCH a
    1> SETBIT a 0 0
    MULTI
    EXEC
    WATCH a
    1> TOUCH a
    MULTI
    EXEC
    WATCH a
    1> SWAPDB 0 1
    MULTI
    EXEC
    WATCH a
    1> MOVE a 3
    MULTI
    EXEC
    MULTI
    SELECT 4
    SET a 1
    EXEC
    KEYS *
    MULTI
    HELLO 3
    GET nokey
    EXEC
    HELLO 2
    MULTI
    RESET
    EXEC
    MULTI x
    MULTI
    EXEC x
    EXEC
    MULTI
    DISCARD x
    EXEC
    MULTI
    SET a 1
    quit
    GET a
  `,
  "PING ECHO QUIT RESET AUTH HELLO": `
    PING
    PING x
    PING x y
    ECHO
    ECHO x
    ECHO "\\x00\\xff"
    ECHO x y
    AUTH
    AUTH x
    AUTH default x
    AUTH nobody x
    AUTH a b c
    HELLO
    HELLO 2
    HELLO 3
    GET nokey
    EXISTS nokey
    CLIENT GETNAME
    CONFIG GET databases
    CONFIG GET nosuch
    SET a foobar GET
    MGET a nokey
    MULTI
    MGET a nokey
    EXEC
    WATCH a
    SET a x
    MULTI
    EXEC
    HELLO 3 SETNAME me
    CLIENT GETNAME
    HELLO 2
    HELLO 1
    HELLO 4
    HELLO x
    HELLO 3 AUTH
    HELLO 3 AUTH default
    HELLO 3 AUTH default x
    HELLO 3 AUTH nobody x
    HELLO 3 SETNAME
    HELLO 3 SETNAME "two words"
    HELLO 3 FOO
    HELLO 2 AUTH default x SETNAME you
    CLIENT GETNAME
    SELECT 3
    RESET
    CLIENT GETNAME
    SET a 1
    KEYS *
    RESET x
    quit
    PING
    QUIT x
  `,
  CLIENT: `
    CLIENT
    CLIENT NOSUCH
    CLIENT ID
    CLIENT ID x
    CLIENT GETNAME
    CLIENT GETNAME x
    CLIENT SETNAME
    CLIENT SETNAME me
    CLIENT GETNAME
    CLIENT SETNAME "two words"
    CLIENT SETNAME "line\\n"
    CLIENT SETNAME "\\xe9"
    CLIENT GETNAME
    CLIENT SETNAME ""
    CLIENT GETNAME
    CLIENT INFO
    CLIENT INFO x
    CLIENT LIST ID 999999
    CLIENT LIST ID x
    CLIENT LIST ID
    CLIENT LIST TYPE pubsub
    CLIENT LIST TYPE nosuch
    CLIENT LIST FOO
    CLIENT KILL
    CLIENT KILL 1.2.3.4:5
    CLIENT KILL ID 999999
    CLIENT KILL ID x
    CLIENT KILL ID 0
    CLIENT KILL TYPE nosuch
    CLIENT KILL TYPE pubsub
    CLIENT KILL USER nobody
    CLIENT KILL ADDR 1.2.3.4:5
    CLIENT KILL LADDR 1.2.3.4:5
    CLIENT KILL ID 999999 SKIPME maybe
    CLIENT KILL FOO bar
    CLIENT KILL ID
    CLIENT NO-EVICT
    CLIENT NO-EVICT ON
    CLIENT NO-EVICT off
    CLIENT NO-EVICT maybe
    CLIENT REPLY
    CLIENT REPLY ON
    CLIENT REPLY maybe
    client setname you
    client getname
  `,
  "OBJECT MEMORY": `
    OBJECT
    OBJECT NOSUCH
    OBJECT NOSUCH a
    OBJECT ENCODING
    OBJECT ENCODING a b
    OBJECT ENCODING nokey
    OBJECT REFCOUNT nokey
    OBJECT IDLETIME nokey
    OBJECT FREQ nokey
    SET a 5
    OBJECT ENCODING a
    OBJECT REFCOUNT a
    OBJECT IDLETIME a
    OBJECT FREQ a
    object freq a
    MULTI
    OBJECT NOSUCH a
    EXEC
    SET a 5 PX 10
    +11
    OBJECT ENCODING a
    EXISTS a
    MEMORY
    MEMORY NOSUCH
    MEMORY USAGE
    MEMORY USAGE nokey
    MEMORY USAGE nokey SAMPLES x
    SET a 5
    MEMORY USAGE a
    MEMORY USAGE a SAMPLES 0
    MEMORY USAGE a samples 5 SAMPLES 3
    MEMORY USAGE a SAMPLES
    MEMORY USAGE a SAMPLES -1
    MEMORY USAGE a SAMPLES x
    MEMORY USAGE a FOO
    MEMORY USAGE a FOO 1
    MEMORY DOCTOR
    MEMORY DOCTOR x
    MEMORY STATS x
    MEMORY PURGE
    MEMORY PURGE x
    MEMORY MALLOC-STATS
    MEMORY MALLOC-STATS x
    HELLO 3
    OBJECT ENCODING nokey
    MEMORY USAGE nokey
    MEMORY DOCTOR
    COMMAND GETKEYS OBJECT ENCODING a
    COMMAND GETKEYS MEMORY USAGE a
    COMMAND GETKEYS DUMP a
    COMMAND GETKEYS RESTORE a 0 x
    COMMAND GETKEYS MEMORY STATS
  `,
  "DUMP RESTORE": `
    DUMP
    DUMP a b
    DUMP nokey
    MSET a 5 b foobar c "\\x00\\xff" d "" e -129 f 2147483648 g 007 h "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    DUMP a
    DUMP b
    DUMP c
    DUMP d
    DUMP e
    DUMP f
    DUMP g
    DUMP h
    RESTORE
    RESTORE z 0
    RESTORE a 0 x
    RESTORE a 0 x REPLACE
    RESTORE a x x
    RESTORE z x x
    RESTORE z -1 x
    RESTORE z 0 x
    RESTORE z 0 x FOO
    RESTORE z 0 x IDLETIME
    RESTORE z 0 x IDLETIME -1
    RESTORE z 0 x IDLETIME x
    RESTORE z 0 x IDLETIME 9223372036854775808
    RESTORE z 0 x FREQ
    RESTORE z 0 x FREQ -1
    RESTORE z 0 x FREQ 256
    RESTORE z 0 x FREQ x
    RESTORE z 0 x FREQ 1 IDLETIME 1
    RESTORE z 0 x IDLETIME 1 FREQ 1
    RESTORE z 0 ${PAYLOAD.FIVE} replace absttl
    GET z
    RESTORE z 0 ${PAYLOAD.FIVE}
    RESTORE z 100 ${PAYLOAD.FIVE} REPLACE
    PTTL z
    +101
    GET z
    RESTORE z 1800000002000 ${PAYLOAD.FIVE} ABSTTL IDLETIME 5 IDLETIME 6
    PTTL z
    RESTORE z 1 ${PAYLOAD.FIVE} ABSTTL REPLACE
    EXISTS z
    RESTORE z 9223372036854775807 ${PAYLOAD.FIVE}
    EXISTS z
    RESTORE z 9223372036854775807 ${PAYLOAD.FIVE} ABSTTL FREQ 0 FREQ 255
    PTTL z
    RESTORE z 0 ${PAYLOAD.LZF} REPLACE
    TTL z
    GET z
    RESTORE z 0 ${PAYLOAD.OLD} REPLACE
    GET z
    RESTORE z 0 ${PAYLOAD.TOO_NEW} REPLACE
    RESTORE z 0 ${PAYLOAD.LIST} REPLACE
    RESTORE z 0 ${PAYLOAD.CUT_OFF} REPLACE
    RESTORE z 0 ${PAYLOAD.NO_LENGTH} REPLACE
    GET z
    WATCH z
    1> RESTORE z 0 ${PAYLOAD.FIVE} REPLACE
    MULTI
    EXEC
    MULTI
    RESTORE y 0 ${PAYLOAD.FIVE}
    RESTORE y 0 ${PAYLOAD.FIVE}
    DUMP y
    EXEC
  `,
  DEBUG: `
    DEBUG
    DEBUG NOSUCH
    DEBUG NOSUCH x
    DEBUG HELP x
    DEBUG SLEEP
    DEBUG SLEEP 0
    DEBUG SLEEP x
    DEBUG SLEEP -1
    debug sleep 0.001
    DEBUG SLEEP 0 0
    DEBUG SET-ACTIVE-EXPIRE
    DEBUG SET-ACTIVE-EXPIRE 0
    DEBUG SET-ACTIVE-EXPIRE x
    DEBUG SET-ACTIVE-EXPIRE 0 0
    SET a 1 PX 1000
    SETBIT b 100000 1
    1> SELECT 9
    1> SET c foobar
    DEBUG RELOAD
    GET a
    PTTL a
    GETBIT b 100000
    STRLEN b
    1> GET c
    DBSIZE
    debug reload
    SETBIT b 7 1
    BITCOUNT b
  `,
  "COMMAND CONFIG and the rest": `
    COMMAND NOSUCH
    COMMAND COUNT
    COMMAND COUNT x
    COMMAND INFO nosuch
    COMMAND INFO get
    COMMAND INFO setbit bitop
    COMMAND DOCS nosuch
    COMMAND LIST FILTERBY
    COMMAND LIST FILTERBY FOO x
    COMMAND GETKEYS
    COMMAND GETKEYS GET a
    COMMAND GETKEYS BITOP AND a b c
    COMMAND GETKEYS MSET a 1 b 2
    COMMAND GETKEYS MSET a 1 b
    COMMAND GETKEYS PING
    COMMAND GETKEYS NOSUCH
    COMMAND GETKEYS GET
    COMMAND GETKEYS SET a 1
    COMMAND GETKEYS COPY a b
    CONFIG
    CONFIG NOSUCH
    CONFIG GET
    CONFIG GET nosuch
    CONFIG GET databases
    CONFIG GET DATABASES
    CONFIG GET databases nosuch
    CONFIG SET
    CONFIG SET nosuch
    CONFIG SET nosuch 1
    CONFIG SET databases 4
    CONFIG RESETSTAT
    CONFIG RESETSTAT x
    TIME
    TIME x
    +1234
    TIME
    LASTSAVE
    LASTSAVE x
    SAVE
    SAVE x
    BGSAVE x
    BGSAVE SCHEDULE x
    SHUTDOWN NOSUCH
    SHUTDOWN SAVE NOSAVE
    SHUTDOWN ABORT NOW
    SHUTDOWN ABORT
    INFO nosuch
    NOSUCH
    nosuch a "b\\r\\nc"
    "" a
    "GE T" a
    NOSUCH 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50
  `,
  "PUBLISH PUBSUB": `
    PUBLISH
    PUBLISH news
    PUBLISH news text
    PUBLISH news text more
    SPUBLISH news
    SPUBLISH news text
    PUBSUB
    PUBSUB NOSUCH
    PUBSUB CHANNELS
    PUBSUB CHANNELS n*
    PUBSUB CHANNELS n* m*
    PUBSUB NUMPAT
    PUBSUB NUMPAT x
    PUBSUB NUMSUB
    PUBSUB NUMSUB news more
    PUBSUB SHARDCHANNELS
    PUBSUB SHARDCHANNELS n*
    PUBSUB SHARDNUMSUB
    PUBSUB SHARDNUMSUB news more
    SUBSCRIBE
    PSUBSCRIBE
    SSUBSCRIBE
    UNSUBSCRIBE
    UNSUBSCRIBE news
    PUNSUBSCRIBE
    PUNSUBSCRIBE n*
    SUNSUBSCRIBE
    SUNSUBSCRIBE news
    MULTI
    PUBLISH news text
    EXEC
    1> SUBSCRIBE news
    PUBSUB CHANNELS
    PUBSUB NUMSUB news more
    1> GET a
    1> PING
    1> PING text
    1> UNSUBSCRIBE news
    PUBSUB CHANNELS
    HELLO 3
    PUBSUB NUMSUB news
  `,
  "ACL errors": `
    ACL
    ACL NOSUCH
    ACL WHOAMI
    ACL WHOAMI x
    ACL USERS
    ACL CAT nosuch
    ACL GETUSER nosuch
    ACL DELUSER nosuch
    ACL DELUSER default
    ACL SETUSER eve foo
    ACL SETUSER eve +nosuch
    ACL SETUSER eve +@nosuch
    ACL SETUSER eve <nopass
    ACL SETUSER eve #abc
    ACL SETUSER "e ve" on
    ACL GENPASS x
    ACL GENPASS 0
    ACL GENPASS 4097
    ACL DRYRUN nosuch GET a
    ACL DRYRUN default NOSUCH a
    ACL DRYRUN default GET
    ACL DRYRUN default GET a
    ACL LOG x
    ACL LOG RESET
    ACL LOG
    ACL LOG 0
    ACL LOAD
    ACL SAVE
    AUTH eve wrong
    AUTH wrong
    ACL USERS
  `,
  "CONFIG errors": `
    CONFIG
    CONFIG NOSUCH
    CONFIG GET
    CONFIG GET nosuch
    CONFIG SET
    CONFIG SET maxclients
    CONFIG SET nosuch 1
    CONFIG SET slowlog-max-len x
    CONFIG SET slowlog-max-len 1 slowlog-max-len 2
    CONFIG SET appendfsync sometimes
    CONFIG RESETSTAT
    CONFIG RESETSTAT x
    CONFIG REWRITE
  `,
  alone: `
    ROLE
    ROLE x
    REPLICAOF NO ONE
    REPLICAOF NO
    SLAVEOF no one
    WAIT 0 0
    WAIT x 0
    WAIT 0 x
    WAIT 0 -1
    READONLY
    READWRITE
    ASKING
    CLUSTER
    CLUSTER INFO
    CLUSTER NODES
    CLUSTER NOSUCH
    CLUSTER KEYSLOT a
    MODULE LIST
    MODULE NOSUCH
    MODULE LOAD x
    MODULE UNLOAD x
    SLOWLOG
    SLOWLOG RESET
    SLOWLOG GET x
    SLOWLOG GET -2
    SLOWLOG NOSUCH
    LATENCY
    LATENCY RESET
    LATENCY LATEST
    LATENCY HISTORY command
    LATENCY NOSUCH
    COMMAND GETKEYSANDFLAGS SET a 1
    COMMAND GETKEYSANDFLAGS GET
    COMMAND DOCS nosuch
    CLIENT CACHING yes
    CLIENT CACHING maybe
    CLIENT GETREDIR
    CLIENT TRACKINGINFO
    CLIENT TRACKING off
    CLIENT UNBLOCK 999999
    CLIENT UNBLOCK x
    CLIENT UNBLOCK 999999 maybe
    CLIENT PAUSE x
    CLIENT PAUSE -1
    CLIENT PAUSE 0 maybe
    CLIENT UNPAUSE
  `,
};

export interface Tour {
  readonly name: string;
  readonly steps: Step[];
}

export function tours(): Tour[] {
  return Object.entries(TOURS).map(([name, text]) => {
    const lines = text.split("\n").map((line) => line.trim());
    return { name, steps: lines.filter((line) => line !== "").map(stepOf) };
  });
}

function stepOf(line: string): Step {
  const second = line.startsWith("1> ");
  const conn = second ? 1 : 0;
  const [first = "", ...rest] = words(second ? line.slice(3) : line);
  if (/^\+\d+$/.test(first)) return { kind: "clock", ms: Number(first) };
  if (first === "scan" && !/^\d/.test(rest[0] ?? "")) return { kind: "scan", conn, options: rest };
  if (first === "quit") return { kind: "quit", conn };
  return { kind: "call", conn, argv: [first, ...rest] };
}

/** Splits at spaces, minding double quotes with their escapes. */
function words(line: string): string[] {
  return [...line.matchAll(/"((?:\\.|[^"\\])*)"|\S+/g)].map(([whole, quoted]) =>
    quoted === undefined ? whole : quoted.replace(/\\x([0-9a-f]{2})|\\(.)/g, (_, hex, c) => unescaped(hex, c)),
  );
}

function unescaped(hex: string | undefined, character: string): string {
  if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
  return { r: "\r", n: "\n" }[character] ?? character;
}

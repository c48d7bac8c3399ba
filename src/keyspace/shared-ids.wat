;; Counts the ids that pairs of sets share: `shared-ids.ts` lays the memory out and runs this. It is WebAssembly because of what V8 makes of
;; such loops in JavaScript: after each write to a typed array it reads anew where all of them are and how long, which takes longer than the
;; work.
;;
;; Each id that a row has gets a number when it is first met, block by block of 65,536 ids. A set is then a row of bits, one for each number,
;; and two sets share the ones of the AND of their rows. When there are 4,096 numbers the pairs are counted, and the bits cleared.
;;
;; In memory, as words of 32 bits:
;;   a number for each id of a block. It is the id's if it is not below the block's first one.
;;   a set: where its next id is; where its ids end; where its bits are. The ids ascend, and are followed by one of another block than the
;;   last of them, so that who walks in a block need not look for the end. Sets that are rows come first, then those that are columns only.
;;   a pair: where the bits of its row are; where those of its column are; how many ids they share.
;;
;; When it is changed, `UPDATE_WASM=1 npx vitest run test/unit/keyspace/wasm` assembles it.
(module
  (import "memory" "memory" (memory 1))

  ;; The next number; the number of bit 0, which no id has; the first number of the block.
  (global $free (mut i32) (i32.const 0))
  (global $base (mut i32) (i32.const 0))
  (global $first (mut i32) (i32.const 0))

  ;; Counts the ids up to $last, and leaves each set at the next one.
  (func (export "count")
    (param $numbers i32) (param $sets i32) (param $rowsEnd i32) (param $setsEnd i32) (param $pairs i32) (param $pairsEnd i32)
    (param $last i32)
    (local $block i32) (local $span i32) (local $set i32)
    (memory.fill (local.get $numbers) (i32.const 0) (i32.const 0x40000))
    (global.set $base (i32.const 0))
    (global.set $free (i32.const 1))
    (block $done
      (loop $blocks
        (local.set $block (call $nextBlock (local.get $sets) (local.get $rowsEnd) (local.get $last)))
        (br_if $done (i32.eq (local.get $block) (i32.const 0x10000)))
        (local.set $block (i32.shl (local.get $block) (i32.const 16)))
        (local.set $span (i32.sub (local.get $last) (local.get $block)))
        (local.set $span
          (select (local.get $span) (i32.const 0xffff) (i32.lt_u (local.get $span) (i32.const 0xffff))))
        (global.set $first (global.get $free))
        (local.set $set (local.get $sets))
        (loop $sets
          (if (i32.lt_u (local.get $set) (local.get $rowsEnd))
            (then (call $number (local.get $set) (local.get $numbers) (local.get $block) (local.get $span)))
            (else (call $find (local.get $set) (local.get $numbers) (local.get $block) (local.get $span))))
          (local.set $set (i32.add (local.get $set) (i32.const 12)))
          (br_if $sets (i32.lt_u (local.get $set) (local.get $setsEnd))))
        (if (i32.gt_u (i32.sub (global.get $free) (global.get $base)) (i32.const 4096))
          (then (call $countPairs (local.get $sets) (local.get $setsEnd) (local.get $pairs) (local.get $pairsEnd))))
        (br $blocks)))
    (call $countPairs (local.get $sets) (local.get $setsEnd) (local.get $pairs) (local.get $pairsEnd)))

  ;; The block of the lowest id that is next in a row and not above $last; 0x10000 if there is none.
  (func $nextBlock (param $row i32) (param $rowsEnd i32) (param $last i32) (result i32)
    (local $next i32) (local $id i32) (local $block i32)
    (local.set $block (i32.const 0x10000))
    (loop $rows
      (local.set $next (i32.load (local.get $row)))
      (if (i32.lt_u (local.get $next) (i32.load offset=4 (local.get $row)))
        (then
          (local.set $id (i32.load (local.get $next)))
          (if (i32.le_u (local.get $id) (local.get $last))
            (then
              (local.set $id (i32.shr_u (local.get $id) (i32.const 16)))
              (if (i32.lt_u (local.get $id) (local.get $block)) (then (local.set $block (local.get $id))))))))
      (local.set $row (i32.add (local.get $row) (i32.const 12)))
      (br_if $rows (i32.lt_u (local.get $row) (local.get $rowsEnd))))
    (local.get $block))

  ;; Sets the bits of a row's ids from $block to $block + $span, and gives numbers to those that have none.
  (func $number (param $set i32) (param $numbers i32) (param $block i32) (param $span i32)
    (local $next i32) (local $id i32) (local $bits i32) (local $place i32) (local $number i32) (local $isNew i32)
    (local $free i32) (local $base i32) (local $first i32)
    (local.set $next (i32.load (local.get $set)))
    (if (i32.eq (local.get $next) (i32.load offset=4 (local.get $set))) (then (return)))
    (local.set $bits (i32.load offset=8 (local.get $set)))
    (local.set $free (global.get $free))
    (local.set $base (global.get $base))
    (local.set $first (global.get $first))
    (block $done
      (loop $ids
        (local.set $id (i32.sub (i32.load (local.get $next)) (local.get $block)))
        (br_if $done (i32.gt_u (local.get $id) (local.get $span)))
        (local.set $place (i32.add (local.get $numbers) (i32.shl (local.get $id) (i32.const 2))))
        (local.set $number (i32.load (local.get $place)))
        ;; No branch: it would often be guessed wrong.
        (local.set $isNew (i32.lt_u (local.get $number) (local.get $first)))
        (local.set $number (select (local.get $free) (local.get $number) (local.get $isNew)))
        (local.set $free (i32.add (local.get $free) (local.get $isNew)))
        (i32.store (local.get $place) (local.get $number))
        (local.set $number (i32.sub (local.get $number) (local.get $base)))
        (local.set $place (i32.add (local.get $bits) (i32.shl (i32.shr_u (local.get $number) (i32.const 5)) (i32.const 2))))
        (i32.store (local.get $place) (i32.or (i32.load (local.get $place)) (i32.shl (i32.const 1) (local.get $number))))
        (local.set $next (i32.add (local.get $next) (i32.const 4)))
        (br $ids)))
    (i32.store (local.get $set) (local.get $next))
    (global.set $free (local.get $free)))

  ;; Sets the bits of a column's ids from $block to $block + $span. Those that no row has are bit 0.
  (func $find (param $set i32) (param $numbers i32) (param $block i32) (param $span i32)
    (local $next i32) (local $end i32) (local $id i32) (local $bits i32) (local $place i32) (local $number i32)
    (local $base i32) (local $first i32)
    (local.set $next (i32.load (local.get $set)))
    (local.set $end (i32.load offset=4 (local.get $set)))
    (local.set $bits (i32.load offset=8 (local.get $set)))
    (local.set $base (global.get $base))
    (local.set $first (global.get $first))
    (block $reached
      (loop $below
        (if (i32.eq (local.get $next) (local.get $end)) (then (i32.store (local.get $set) (local.get $next)) (return)))
        (br_if $reached (i32.ge_u (i32.load (local.get $next)) (local.get $block)))
        (local.set $next (i32.add (local.get $next) (i32.const 4)))
        (br $below)))
    (block $done
      (loop $ids
        (local.set $id (i32.sub (i32.load (local.get $next)) (local.get $block)))
        (br_if $done (i32.gt_u (local.get $id) (local.get $span)))
        (local.set $number (i32.load (i32.add (local.get $numbers) (i32.shl (local.get $id) (i32.const 2)))))
        (local.set $number
          (select
            (i32.sub (local.get $number) (local.get $base))
            (i32.const 0)
            (i32.ge_u (local.get $number) (local.get $first))))
        (local.set $place (i32.add (local.get $bits) (i32.shl (i32.shr_u (local.get $number) (i32.const 5)) (i32.const 2))))
        (i32.store (local.get $place) (i32.or (i32.load (local.get $place)) (i32.shl (i32.const 1) (local.get $number))))
        (local.set $next (i32.add (local.get $next) (i32.const 4)))
        (br $ids)))
    (i32.store (local.get $set) (local.get $next)))

  ;; Adds what the bits of the pairs share to their counts, and clears the bits.
  (func $countPairs (param $set i32) (param $setsEnd i32) (param $pair i32) (param $pairsEnd i32)
    (local $bytes i32) (local $row i32) (local $column i32) (local $end i32) (local $a i64) (local $b i64) (local $c i64) (local $d i64)
    ;; Bytes of all bits, a multiple of 32.
    (local.set $bytes
      (i32.and
        (i32.add (i32.shr_u (i32.sub (global.get $free) (global.get $base)) (i32.const 3)) (i32.const 32))
        (i32.const -32)))
    (global.set $base (i32.sub (global.get $free) (i32.const 1)))
    (loop $pairs
      (local.set $row (i32.load (local.get $pair)))
      (local.set $column (i32.load offset=4 (local.get $pair)))
      (local.set $end (i32.add (local.get $row) (local.get $bytes)))
      (local.set $a (i64.const 0))
      (local.set $b (i64.const 0))
      (local.set $c (i64.const 0))
      (local.set $d (i64.const 0))
      (loop $words
        (local.set $a (i64.add (local.get $a)
          (i64.popcnt (i64.and (i64.load (local.get $row)) (i64.load (local.get $column))))))
        (local.set $b (i64.add (local.get $b)
          (i64.popcnt (i64.and (i64.load offset=8 (local.get $row)) (i64.load offset=8 (local.get $column))))))
        (local.set $c (i64.add (local.get $c)
          (i64.popcnt (i64.and (i64.load offset=16 (local.get $row)) (i64.load offset=16 (local.get $column))))))
        (local.set $d (i64.add (local.get $d)
          (i64.popcnt (i64.and (i64.load offset=24 (local.get $row)) (i64.load offset=24 (local.get $column))))))
        (local.set $row (i32.add (local.get $row) (i32.const 32)))
        (local.set $column (i32.add (local.get $column) (i32.const 32)))
        (br_if $words (i32.lt_u (local.get $row) (local.get $end))))
      (i32.store offset=8 (local.get $pair)
        (i32.add
          (i32.load offset=8 (local.get $pair))
          (i32.wrap_i64 (i64.add (i64.add (local.get $a) (local.get $b)) (i64.add (local.get $c) (local.get $d))))))
      (local.set $pair (i32.add (local.get $pair) (i32.const 12)))
      (br_if $pairs (i32.lt_u (local.get $pair) (local.get $pairsEnd))))
    (loop $sets
      (memory.fill (i32.load offset=8 (local.get $set)) (i32.const 0) (local.get $bytes))
      (local.set $set (i32.add (local.get $set) (i32.const 12)))
      (br_if $sets (i32.lt_u (local.get $set) (local.get $setsEnd)))))
)

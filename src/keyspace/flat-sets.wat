;; Counts the ids that two sets share: `flat-sets.ts` lays the sets out and runs this.
;;
;; A set is its ids as ascending words, in groups of four. Of two groups each id of the one is compared with each of the other, all at once,
;; and the group with the lower last id has then met all that it can. There is no branch that depends on ids, which would often be guessed
;; wrong; but each step has to wait for the one before. So two walks are under way at a time: of the first half of `a`, and of the second.
;;
;; When it is changed, `UPDATE_WASM=1 npx vitest run test/unit/keyspace/wasm` assembles it.
(module
  (import "memory" "memory" (memory 1))

  ;; Where the sets begin and end is in bytes, and a multiple of 16. The lanes of a group that the last ids leave are ids too.
  (func (export "count") (param $a1 i32) (param $end2 i32) (param $b1 i32) (param $bEnd i32) (result i32)
    (local $a2 i32) (local $end1 i32) (local $b2 i32) (local $lastA i32) (local $lastB i32)
    (local $x v128) (local $y v128) (local $shared v128)
    (local.set $a2
      (i32.add (local.get $a1)
        (i32.and (i32.shr_u (i32.sub (local.get $end2) (local.get $a1)) (i32.const 1)) (i32.const -16))))
    (local.set $end1 (local.get $a2))
    (local.set $b2 (call $find (local.get $b1) (local.get $bEnd) (i32.load (local.get $a2))))
    (block $done
      (loop $both
        (br_if $done (i32.ge_u (local.get $a1) (local.get $end1)))
        (br_if $done (i32.ge_u (local.get $b1) (local.get $bEnd)))
        (br_if $done (i32.ge_u (local.get $a2) (local.get $end2)))
        (br_if $done (i32.ge_u (local.get $b2) (local.get $bEnd)))
        (local.set $x (v128.load (local.get $a1)))
        (local.set $y (v128.load (local.get $b1)))
        (local.set $lastA (i32.load offset=12 (local.get $a1)))
        (local.set $lastB (i32.load offset=12 (local.get $b1)))
        (local.set $a1
          (i32.add (local.get $a1) (i32.shl (i32.le_u (local.get $lastA) (local.get $lastB)) (i32.const 4))))
        (local.set $b1
          (i32.add (local.get $b1) (i32.shl (i32.ge_u (local.get $lastA) (local.get $lastB)) (i32.const 4))))
        (local.set $shared (i32x4.sub (local.get $shared)
          (v128.or
            (v128.or
              (i32x4.eq (local.get $x) (local.get $y))
              (i32x4.eq (local.get $x)
                (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 0 1 2 3 (local.get $y) (local.get $y))))
            (v128.or
              (i32x4.eq (local.get $x)
                (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $y) (local.get $y)))
              (i32x4.eq (local.get $x)
                (i8x16.shuffle 12 13 14 15 0 1 2 3 4 5 6 7 8 9 10 11 (local.get $y) (local.get $y)))))))
        (local.set $x (v128.load (local.get $a2)))
        (local.set $y (v128.load (local.get $b2)))
        (local.set $lastA (i32.load offset=12 (local.get $a2)))
        (local.set $lastB (i32.load offset=12 (local.get $b2)))
        (local.set $a2
          (i32.add (local.get $a2) (i32.shl (i32.le_u (local.get $lastA) (local.get $lastB)) (i32.const 4))))
        (local.set $b2
          (i32.add (local.get $b2) (i32.shl (i32.ge_u (local.get $lastA) (local.get $lastB)) (i32.const 4))))
        (local.set $shared (i32x4.sub (local.get $shared)
          (v128.or
            (v128.or
              (i32x4.eq (local.get $x) (local.get $y))
              (i32x4.eq (local.get $x)
                (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 0 1 2 3 (local.get $y) (local.get $y))))
            (v128.or
              (i32x4.eq (local.get $x)
                (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $y) (local.get $y)))
              (i32x4.eq (local.get $x)
                (i8x16.shuffle 12 13 14 15 0 1 2 3 4 5 6 7 8 9 10 11 (local.get $y) (local.get $y)))))))
        (br $both)))
    ;; What one of them has left.
    (block $done
      (loop $first
        (br_if $done (i32.ge_u (local.get $a1) (local.get $end1)))
        (br_if $done (i32.ge_u (local.get $b1) (local.get $bEnd)))
        (local.set $x (v128.load (local.get $a1)))
        (local.set $y (v128.load (local.get $b1)))
        (local.set $lastA (i32.load offset=12 (local.get $a1)))
        (local.set $lastB (i32.load offset=12 (local.get $b1)))
        (local.set $a1
          (i32.add (local.get $a1) (i32.shl (i32.le_u (local.get $lastA) (local.get $lastB)) (i32.const 4))))
        (local.set $b1
          (i32.add (local.get $b1) (i32.shl (i32.ge_u (local.get $lastA) (local.get $lastB)) (i32.const 4))))
        (local.set $shared (i32x4.sub (local.get $shared)
          (v128.or
            (v128.or
              (i32x4.eq (local.get $x) (local.get $y))
              (i32x4.eq (local.get $x)
                (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 0 1 2 3 (local.get $y) (local.get $y))))
            (v128.or
              (i32x4.eq (local.get $x)
                (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $y) (local.get $y)))
              (i32x4.eq (local.get $x)
                (i8x16.shuffle 12 13 14 15 0 1 2 3 4 5 6 7 8 9 10 11 (local.get $y) (local.get $y)))))))
        (br $first)))
    (block $done
      (loop $second
        (br_if $done (i32.ge_u (local.get $a2) (local.get $end2)))
        (br_if $done (i32.ge_u (local.get $b2) (local.get $bEnd)))
        (local.set $x (v128.load (local.get $a2)))
        (local.set $y (v128.load (local.get $b2)))
        (local.set $lastA (i32.load offset=12 (local.get $a2)))
        (local.set $lastB (i32.load offset=12 (local.get $b2)))
        (local.set $a2
          (i32.add (local.get $a2) (i32.shl (i32.le_u (local.get $lastA) (local.get $lastB)) (i32.const 4))))
        (local.set $b2
          (i32.add (local.get $b2) (i32.shl (i32.ge_u (local.get $lastA) (local.get $lastB)) (i32.const 4))))
        (local.set $shared (i32x4.sub (local.get $shared)
          (v128.or
            (v128.or
              (i32x4.eq (local.get $x) (local.get $y))
              (i32x4.eq (local.get $x)
                (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 0 1 2 3 (local.get $y) (local.get $y))))
            (v128.or
              (i32x4.eq (local.get $x)
                (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $y) (local.get $y)))
              (i32x4.eq (local.get $x)
                (i8x16.shuffle 12 13 14 15 0 1 2 3 4 5 6 7 8 9 10 11 (local.get $y) (local.get $y)))))))
        (br $second)))
    (i32.add
      (i32.add (i32x4.extract_lane 0 (local.get $shared)) (i32x4.extract_lane 1 (local.get $shared)))
      (i32.add (i32x4.extract_lane 2 (local.get $shared)) (i32x4.extract_lane 3 (local.get $shared)))))

  ;; The first group from $from on whose last id is not below $id; $end if there is none.
  (func $find (param $from i32) (param $end i32) (param $id i32) (result i32)
    (local $middle i32)
    (block $done
      (loop $halve
        (br_if $done (i32.eq (local.get $from) (local.get $end)))
        (local.set $middle
          (i32.add (local.get $from)
            (i32.and (i32.shr_u (i32.sub (local.get $end) (local.get $from)) (i32.const 1)) (i32.const -16))))
        (if (i32.lt_u (i32.load offset=12 (local.get $middle)) (local.get $id))
          (then (local.set $from (i32.add (local.get $middle) (i32.const 16))))
          (else (local.set $end (local.get $middle))))
        (br $halve)))
    (local.get $from))
)

/**
 * Memory for small pieces of bytes (keys, small values) that costs the garbage collector nothing: blocks of fixed size
 * classes, cut from pages of 64 KiB. A block is named by a number, so whoever keeps a million of them keeps no objects, and
 * what all of it takes is known exactly. Free blocks are linked through their own first word.
 * It must not know what is in a block.
 */
import { KIB } from "../config.js";
import { giveBack } from "../passing-buffer.js";

/** Bytes of a page that blocks are cut from. */
export const PAGE_BYTES = 64 * KIB;
/** Pieces above this size get a page of their own. */
export const BLOCK_BYTES_MAX = 16 * KIB;

/** Sizes, places and refs count in units of 8 bytes. */
const UNIT_BYTES = 8;
const UNIT_BITS = 3;
/** A ref is the page's number, then 13 bits of which unit in the page. */
const PAGE_UNITS = PAGE_BYTES / UNIT_BYTES;
const PAGE_UNIT_BITS = 13;
/** Pages that a ref of 32 bits can tell apart: 32 GiB. */
const PAGES_MAX = 2 ** 32 / PAGE_UNITS;

/** Size classes go in steps of one unit up to here, and by at most this factor above. */
const LINEAR_BYTES_MAX = 64;
const CLASS_GROWTH = 1.25;

/** `#classOf` a page that holds one large piece. */
const LARGE = 255;

/** A class is sparse when of its pages one in so many, and at least so many, could be spared. */
const SPARSE_PART = 4;
const SPARSE_PAGES_MIN = 4;
/** Pages that are full up to here are emptied, the emptiest first. */
const THIN_PARTS = [1 / 4, 1 / 2, 3 / 4] as const;
/** One page in so many is emptied at a time, or this many where they are few: what is moved takes room twice for a while. */
const THINNED_PART = 8;
const THINNED_PAGES_MIN = 256;

const NO_PAGE = -1;
const INITIAL_PAGES = 16;

/** Bytes of the blocks of each class, ascending. */
const CLASS_BYTES = Uint32Array.from(classSizes());
/** The class of a piece by its size in units. */
const CLASS_OF_UNITS = new Uint8Array(BLOCK_BYTES_MAX / UNIT_BYTES + 1);
for (let units = 0; units < CLASS_OF_UNITS.length; units++) {
  CLASS_OF_UNITS[units] = CLASS_BYTES.findIndex((bytes) => bytes >= units * UNIT_BYTES);
}

/** Above the linear ones a class is as large as it can be with so many blocks per page. */
function classSizes(): number[] {
  const sizes: number[] = [];
  let bytes = 0;
  while (bytes < LINEAR_BYTES_MAX) {
    bytes += UNIT_BYTES;
    sizes.push(bytes);
  }
  while (bytes < BLOCK_BYTES_MAX) {
    const blocks = Math.ceil(Math.floor(PAGE_BYTES / bytes) / CLASS_GROWTH);
    bytes = Math.floor(PAGE_UNITS / blocks) * UNIT_BYTES;
    sizes.push(bytes);
  }
  return sizes;
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / UNIT_BYTES) * UNIT_BYTES;
}

const NO_BYTES = Buffer.from(new ArrayBuffer(0));
const NO_WORDS = new Uint32Array(0);
const NO_HALVES = new Uint16Array(0);

export class Arena {
  /** Each page's memory, seen as bytes, as words and as halves of words. */
  readonly #bytes: Buffer[] = [];
  readonly #words: Uint32Array[] = [];
  readonly #halves: Uint16Array[] = [];
  /** What else there is to know of each page, by its number. */
  #classOf = new Uint8Array(INITIAL_PAGES);
  #blockBytes = new Uint32Array(INITIAL_PAGES);
  /** Blocks that are handed out. */
  #blocks = new Uint16Array(INITIAL_PAGES);
  /** The first free block as its unit plus one, 0 for none. */
  #free = new Uint16Array(INITIAL_PAGES);
  /** 1 for a page that is to become empty: no block is taken from it, and `moved` takes those away that are in use. */
  #leaving = new Uint8Array(INITIAL_PAGES);
  /** Where the part begins that no block was cut from yet, in bytes. */
  #uncut = new Uint32Array(INITIAL_PAGES);
  /** Neighbours in the class's list of pages with room. For numbers without a page, `next` is the next such number. */
  #next = new Int32Array(INITIAL_PAGES);
  #previous = new Int32Array(INITIAL_PAGES);

  /** For each class the first of its pages that have both blocks in use and room. */
  readonly #partial = new Int32Array(CLASS_BYTES.length).fill(NO_PAGE);
  /** For each class an empty page, kept so that one block that comes and goes does not cost a page each time. */
  readonly #spare = new Int32Array(CLASS_BYTES.length).fill(NO_PAGE);
  /** The first number that had a page and has none. */
  #unused = NO_PAGE;
  #reservedBytes = 0;
  #usedBytes = 0;

  /** Bytes of all pages. */
  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  /** Bytes of all blocks that are handed out, each as large as its class. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Bytes that `allocate(bytes)` takes. */
  sizeOf(bytes: number): number {
    return bytes > BLOCK_BYTES_MAX ? roundUp(bytes) : (CLASS_BYTES[classOf(bytes)] as number);
  }

  /** Hands out a block of at least `bytes` bytes with anything in it, and returns its ref. */
  allocate(bytes: number): number {
    if (bytes > BLOCK_BYTES_MAX) return this.#allocateLarge(roundUp(bytes));
    const sizeClass = classOf(bytes);
    let page = this.#partial[sizeClass] as number;
    if (page === NO_PAGE) {
      page = this.#takeSpare(sizeClass);
      this.#link(page, sizeClass);
    }
    const unit = this.#takeBlock(page);
    if (!this.#hasRoom(page)) this.#unlink(page, sizeClass);
    return ((page << PAGE_UNIT_BITS) | unit) >>> 0;
  }

  /** Takes a block back. */
  free(ref: number): void {
    const page = ref >>> PAGE_UNIT_BITS;
    const sizeClass = this.#classOf[page] as number;
    this.#usedBytes -= this.#blockBytes[page] as number;
    if (sizeClass === LARGE) {
      this.#dropPage(page);
      return;
    }
    if (this.#leaving[page] === 1) {
      const blocks = (this.#blocks[page] as number) - 1;
      this.#blocks[page] = blocks;
      if (blocks === 0) this.#dropPage(page);
      return;
    }
    const wasFull = !this.#hasRoom(page);
    const unit = ref & (PAGE_UNITS - 1);
    (this.#words[page] as Uint32Array)[unit * 2] = this.#free[page] as number;
    this.#free[page] = unit + 1;
    const blocks = (this.#blocks[page] as number) - 1;
    this.#blocks[page] = blocks;
    if (blocks > 0) {
      if (wasFull) this.#link(page, sizeClass);
      return;
    }
    if (!wasFull) this.#unlink(page, sizeClass);
    this.#keepOrDrop(page, sizeClass);
  }

  /**
   * Chooses pages that are to become empty, when all that were chosen before are: those with few blocks in use, of classes with many such
   * pages. Values that grow or leave leave them behind. Returns how many there are; `moved` is to be called for each block in use then.
   */
  thin(): number {
    let leaving = 0;
    for (let page = 0; page < this.#bytes.length; page++) leaving += this.#leaving[page] as number;
    // One after the other: where blocks have moved to is not full yet.
    if (leaving > 0) return leaving;
    const sparse = this.#sparseClasses();
    if (!sparse.includes(1)) return 0;
    const most = Math.max(this.#bytes.length / THINNED_PART, THINNED_PAGES_MIN);
    for (const part of THIN_PARTS) {
      for (let page = 0; page < this.#bytes.length && leaving < most; page++) {
        const sizeClass = this.#classOf[page] as number;
        const blocks = this.#blocks[page] as number;
        if (blocks === 0 || sparse[sizeClass] !== 1 || this.#leaving[page] === 1) continue;
        if (blocks > part * blocksAPage(sizeClass)) continue;
        this.#unlink(page, sizeClass);
        this.#leaving[page] = 1;
        leaving++;
      }
    }
    return leaving;
  }

  /** 1 for each class that is sparse. */
  #sparseClasses(): Uint8Array {
    const pages = new Uint32Array(CLASS_BYTES.length);
    const blocks = new Float64Array(CLASS_BYTES.length);
    for (let page = 0; page < this.#bytes.length; page++) {
      const sizeClass = this.#classOf[page] as number;
      if (sizeClass === LARGE || this.#blocks[page] === 0) continue;
      pages[sizeClass] = (pages[sizeClass] as number) + 1;
      blocks[sizeClass] = (blocks[sizeClass] as number) + (this.#blocks[page] as number);
    }
    return new Uint8Array(CLASS_BYTES.length).map((_, sizeClass) => {
      const all = pages[sizeClass] as number;
      const spared = all - Math.ceil((blocks[sizeClass] as number) / blocksAPage(sizeClass));
      return spared >= Math.max(all / SPARSE_PART, SPARSE_PAGES_MIN) ? 1 : 0;
    });
  }

  /** Where a block is from now on: elsewhere if its page is to become empty, and then `ref` is nobody's. */
  moved(ref: number): number {
    const page = ref >>> PAGE_UNIT_BITS;
    if (this.#leaving[page] === 0) return ref;
    const bytes = this.#blockBytes[page] as number;
    const to = this.allocate(bytes);
    const from = this.offsetOf(ref);
    this.bytesOf(ref).copy(this.bytesOf(to), this.offsetOf(to), from, from + bytes);
    this.free(ref);
    return to;
  }

  /** Bytes of a block, which are at least what was asked for. */
  blockBytes(ref: number): number {
    return this.#blockBytes[ref >>> PAGE_UNIT_BITS] as number;
  }

  /** The page a block is in. The block begins at `offsetOf(ref)`. */
  bytesOf(ref: number): Buffer {
    return this.#bytes[ref >>> PAGE_UNIT_BITS] as Buffer;
  }

  /** The same page as 32-bit words. The block begins at word `offsetOf(ref) / 4`. */
  wordsOf(ref: number): Uint32Array {
    return this.#words[ref >>> PAGE_UNIT_BITS] as Uint32Array;
  }

  /** The same page as 16-bit words. The block begins at `offsetOf(ref) / 2`. */
  halvesOf(ref: number): Uint16Array {
    return this.#halves[ref >>> PAGE_UNIT_BITS] as Uint16Array;
  }

  /** Where a block begins in its page, in bytes. */
  offsetOf(ref: number): number {
    return (ref & (PAGE_UNITS - 1)) << UNIT_BITS;
  }

  /** Gives back the memory of so many pages, whatever is in them, and says whether there are no more. It must not be used again. */
  dispose(pages: number): boolean {
    for (let left = pages; left > 0 && this.#bytes.length > 0; left--) giveBack((this.#bytes.pop() as Buffer).buffer);
    return this.#bytes.length === 0;
  }

  #allocateLarge(bytes: number): number {
    const page = this.#addPage(LARGE, bytes, bytes);
    this.#usedBytes += bytes;
    return (page << PAGE_UNIT_BITS) >>> 0;
  }

  /** Takes a block from a page that has room, and returns its unit. */
  #takeBlock(page: number): number {
    const blockBytes = this.#blockBytes[page] as number;
    this.#usedBytes += blockBytes;
    this.#blocks[page] = (this.#blocks[page] as number) + 1;
    const free = this.#free[page] as number;
    if (free !== 0) {
      this.#free[page] = (this.#words[page] as Uint32Array)[(free - 1) * 2] as number;
      return free - 1;
    }
    const uncut = this.#uncut[page] as number;
    this.#uncut[page] = uncut + blockBytes;
    return uncut >>> UNIT_BITS;
  }

  #hasRoom(page: number): boolean {
    return this.#free[page] !== 0 || (this.#uncut[page] as number) + (this.#blockBytes[page] as number) <= PAGE_BYTES;
  }

  /** An empty page of the class: the one that was kept, or a new one. */
  #takeSpare(sizeClass: number): number {
    const spare = this.#spare[sizeClass] as number;
    if (spare === NO_PAGE) return this.#addPage(sizeClass, PAGE_BYTES, CLASS_BYTES[sizeClass] as number);
    this.#spare[sizeClass] = NO_PAGE;
    return spare;
  }

  #keepOrDrop(page: number, sizeClass: number): void {
    if (this.#spare[sizeClass] !== NO_PAGE) {
      this.#dropPage(page);
      return;
    }
    this.#free[page] = 0;
    this.#uncut[page] = 0;
    this.#spare[sizeClass] = page;
  }

  #addPage(sizeClass: number, pageBytes: number, blockBytes: number): number {
    const page = this.#takeNumber();
    const memory = new ArrayBuffer(pageBytes);
    this.#bytes[page] = Buffer.from(memory);
    this.#words[page] = new Uint32Array(memory);
    this.#halves[page] = new Uint16Array(memory);
    this.#classOf[page] = sizeClass;
    this.#blockBytes[page] = blockBytes;
    this.#blocks[page] = 0;
    this.#free[page] = 0;
    this.#uncut[page] = 0;
    this.#leaving[page] = 0;
    this.#reservedBytes += pageBytes;
    return page;
  }

  #dropPage(page: number): void {
    const { buffer, length } = this.#bytes[page] as Buffer;
    this.#reservedBytes -= length;
    giveBack(buffer);
    this.#bytes[page] = NO_BYTES;
    this.#words[page] = NO_WORDS;
    this.#halves[page] = NO_HALVES;
    this.#leaving[page] = 0;
    this.#next[page] = this.#unused;
    this.#unused = page;
  }

  #takeNumber(): number {
    const unused = this.#unused;
    if (unused !== NO_PAGE) {
      this.#unused = this.#next[unused] as number;
      return unused;
    }
    const page = this.#bytes.length;
    if (page === PAGES_MAX) throw new Error(`arena: more than ${PAGES_MAX} pages`);
    if (page === this.#classOf.length) this.#growPages();
    return page;
  }

  #growPages(): void {
    const pages = this.#classOf.length * 2;
    const grown = <T extends Uint8Array | Uint16Array | Uint32Array | Int32Array>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.#classOf = grown(new Uint8Array(pages), this.#classOf);
    this.#blockBytes = grown(new Uint32Array(pages), this.#blockBytes);
    this.#blocks = grown(new Uint16Array(pages), this.#blocks);
    this.#free = grown(new Uint16Array(pages), this.#free);
    this.#leaving = grown(new Uint8Array(pages), this.#leaving);
    this.#uncut = grown(new Uint32Array(pages), this.#uncut);
    this.#next = grown(new Int32Array(pages), this.#next);
    this.#previous = grown(new Int32Array(pages), this.#previous);
  }

  #link(page: number, sizeClass: number): void {
    const next = this.#partial[sizeClass] as number;
    this.#next[page] = next;
    this.#previous[page] = NO_PAGE;
    if (next !== NO_PAGE) this.#previous[next] = page;
    this.#partial[sizeClass] = page;
  }

  #unlink(page: number, sizeClass: number): void {
    const next = this.#next[page] as number;
    const previous = this.#previous[page] as number;
    if (next !== NO_PAGE) this.#previous[next] = previous;
    if (previous === NO_PAGE) this.#partial[sizeClass] = next;
    else this.#next[previous] = next;
  }
}

function blocksAPage(sizeClass: number): number {
  return Math.floor(PAGE_BYTES / (CLASS_BYTES[sizeClass] as number));
}

function classOf(bytes: number): number {
  return CLASS_OF_UNITS[(bytes + UNIT_BYTES - 1) >>> UNIT_BITS] as number;
}

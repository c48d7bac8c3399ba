/** The bytes of an input in the sizes that a binary format asks for. */
import type { InputReader } from "./input.js";

export class ByteStream {
  readonly #chunks: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  /** Bytes that were read so far. */
  position = 0;

  constructor(input: InputReader) {
    this.#chunks = input.chunks();
  }

  /** The next `length` bytes, which are the caller's; fewer where the input ends. */
  async read(length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    const filled = await this.#each(length, (piece, at) => piece.copy(bytes, at));
    return bytes.subarray(0, filled);
  }

  /** Goes over `length` bytes; returns how many there were. */
  skip(length: number): Promise<number> {
    return this.#each(length, () => {});
  }

  async #each(length: number, take: (piece: Buffer, at: number) => void): Promise<number> {
    let at = 0;
    while (at < length) {
      if (this.#chunk.length === 0) {
        const { done, value } = await this.#chunks.next();
        if (done === true) break;
        this.#chunk = value;
        continue;
      }
      const piece = this.#chunk.subarray(0, length - at);
      take(piece, at);
      at += piece.length;
      this.#chunk = this.#chunk.subarray(piece.length);
    }
    this.position += at;
    return at;
  }

  /** Lets go of the input. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}

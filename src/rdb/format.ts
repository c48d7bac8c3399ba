/** The numbers of Redis' RDB format that its readers and writers share. */

/** A file begins with this and four digits, which are its version. */
export const MAGIC = "REDIS";
export const VERSION_DIGITS = 4;
/** From this version on the end has a checksum. */
export const CHECKSUM_VERSION_MIN = 5;

/** The upper 2 bits of a length's first byte: 6 bits, 14 bits, a number behind it, or no length but a special encoding. */
export const LENGTH = { SIX_BITS: 0, FOURTEEN_BITS: 1, BEHIND: 2, ENCODED: 3 } as const;
export const KIND_SHIFT = 6;
export const VALUE_MASK = 0x3f;
export const LENGTH_32_BITS = 0x80;
export const LENGTH_64_BITS = 0x81;
/** The special encodings, as the first byte has them in its lower 6 bits. */
export const ENCODING = { INT8: 0, INT16: 1, INT32: 2, LZF: 3 } as const;
/** Bytes of the integers, by the number of their encoding. */
export const INTEGER_BYTES = [1, 2, 4];

/** What stands where a key's type may stand, and is none. */
export const OPCODE = {
  SLOT_INFO: 244,
  FUNCTION2: 245,
  FUNCTION_PRE_GA: 246,
  MODULE_AUX: 247,
  IDLE: 248,
  FREQ: 249,
  AUX: 250,
  RESIZEDB: 251,
  EXPIRETIME_MS: 252,
  EXPIRETIME: 253,
  SELECTDB: 254,
  EOF: 255,
} as const;

/** The number of a key's type; those of the others are in layouts. */
export const TYPE_STRING = 0;

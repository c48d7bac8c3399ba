/** Numbers as people read them. */

const BYTE_UNITS = ["B", "KB", "MB", "GB", "TB"];

/** 1234567 as "1,234,567". */
export function count(number: number): string {
  return Math.round(number).toLocaleString("en-US");
}

/** Bytes in units of 1024, as Redis counts memory: "1.4 GB". */
export function bytes(number: number): string {
  let unit = 0;
  let amount = number;
  for (; amount >= 1024 && unit < BYTE_UNITS.length - 1; unit++) amount /= 1024;
  return `${amount.toFixed(unit === 0 ? 0 : 1)} ${BYTE_UNITS[unit]}`;
}

/** Seconds as "42 s", "3:07" or "1:02:33". */
export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const two = (number: number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** How many times smaller the second is: "12". Where there is nothing, nothing is saved. */
export function factor(stringBytes: number, bitmapBytes: number): string {
  const times = bitmapBytes === 0 ? 1 : stringBytes / bitmapBytes;
  return times < 10 ? times.toFixed(1) : count(times);
}

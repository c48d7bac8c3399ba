/**
 * The server's log: one line per event on stderr, with time and level, for people to read.
 * The levels are Redis': debug < verbose < notice < warning.
 */

export const LOG_LEVELS = ["debug", "verbose", "notice", "warning"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Log {
  level: LogLevel;
  debug(message: string): void;
  verbose(message: string): void;
  notice(message: string): void;
  warning(message: string): void;
}

/** Writes lines like `2026-11-25T03:54:11.123Z notice  ready` through `write`, from `level` upwards. */
export class LineLog implements Log {
  level: LogLevel;
  readonly #write: (line: string) => void;

  constructor(level: LogLevel, write: (line: string) => void = (line) => process.stderr.write(line)) {
    this.level = level;
    this.#write = write;
  }

  debug(message: string): void {
    this.#line("debug", message);
  }

  verbose(message: string): void {
    this.#line("verbose", message);
  }

  notice(message: string): void {
    this.#line("notice", message);
  }

  warning(message: string): void {
    this.#line("warning", message);
  }

  #line(level: LogLevel, message: string): void {
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(this.level)) return;
    const oneLine = message.replace(/[\r\n]+/g, " ");
    this.#write(`${new Date().toISOString()} ${level.padEnd(7)} ${oneLine}\n`);
  }
}

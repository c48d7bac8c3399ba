/** redis-parser, which has no types of its own: as much of it as is used here. */
declare module "redis-parser" {
  interface Options {
    returnReply(reply: unknown): void;
    returnError(error: Error): void;
    returnFatalError?(error: Error): void;
    returnBuffers?: boolean;
    stringNumbers?: boolean;
  }
  class RedisParser {
    constructor(options: Options);
    execute(chunk: Buffer): void;
    reset(): void;
  }
  export = RedisParser;
}

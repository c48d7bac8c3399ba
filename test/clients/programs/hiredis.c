/* hiredis, 0.14 and 1.x: `hiredis TRANSPORT WHERE CA PROTOCOL`. With TLS where it is compiled with -DWITH_SSL (hiredis 1.0). */
#include <hiredis/hiredis.h>
#ifdef WITH_SSL
#include <hiredis/hiredis_ssl.h>
#endif
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *step, const char *what)
{
	fprintf(stderr, "%s: %s\n", step, what);
	exit(1);
}

static redisContext *open_connection(char **argv)
{
	const char *transport = argv[1], *where = argv[2], *protocol = argv[4];
	/* [connect] */
	redisContext *c;
	if (strcmp(transport, "unix") == 0)
		c = redisConnectUnix(where);
	else
		c = redisConnect("127.0.0.1", atoi(where));
	if (c == NULL || c->err)
		fail("connect", c == NULL ? "out of memory" : c->errstr);
#ifdef WITH_SSL
	if (strcmp(transport, "tls") == 0) {
		const char *ca = argv[3];
		redisSSLContextError problem;
		redisInitOpenSSL();
		redisSSLContext *ssl = redisCreateSSLContext(ca, NULL, NULL, NULL, NULL, &problem);
		if (ssl == NULL)
			fail("connect", redisSSLContextGetError(problem));
		if (redisInitiateSSLWithContext(c, ssl) != REDIS_OK)
			fail("connect", c->errstr);
	}
#endif
	if (strcmp(protocol, "default") != 0)
		freeReplyObject(redisCommand(c, "HELLO %s", protocol)); /* 3 since hiredis 1.0 */
	/* [/connect] */
	return c;
}

static redisContext *client;

/* The reply, never NULL; the caller does not free it: the program is short. */
static redisReply *ask(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	redisReply *reply = redisvCommand(client, format, arguments);
	va_end(arguments);
	if (reply == NULL)
		fail(format, client->errstr);
	return reply;
}

static void is_integer(const char *step, redisReply *reply, long long expected)
{
	if (reply->type != REDIS_REPLY_INTEGER || reply->integer != expected)
		fail(step, reply->type == REDIS_REPLY_ERROR ? reply->str : "another integer was expected");
}

static void is_string(const char *step, redisReply *reply, int type, const char *bytes, size_t length)
{
	if (reply->type != type || (size_t)reply->len != length || memcmp(reply->str, bytes, length) != 0)
		fail(step, reply->type == REDIS_REPLY_ERROR ? reply->str : "another string was expected");
}

static void is_ok(const char *step, redisReply *reply)
{
	is_string(step, reply, REDIS_REPLY_STATUS, "OK", 2);
}

/* RESP2 tells a subscriber in arrays, RESP3 in pushes. */
static void is_told(const char *step, redisReply *reply, const char *kind)
{
#ifdef REDIS_REPLY_PUSH
	int is_list = reply->type == REDIS_REPLY_ARRAY || reply->type == REDIS_REPLY_PUSH;
#else
	int is_list = reply->type == REDIS_REPLY_ARRAY;
#endif
	if (!is_list || reply->elements != 3)
		fail(step, "three words were expected");
	is_string(step, reply->element[0], REDIS_REPLY_STRING, kind, strlen(kind));
	is_string(step, reply->element[1], REDIS_REPLY_STRING, "news", 4);
}

static int has_key(redisReply *list, const char *key)
{
	for (size_t i = 0; i < list->elements; i++)
		if (strcmp(list->element[i]->str, key) == 0)
			return 1;
	return 0;
}

static redisReply *next_told(redisContext *subscriber)
{
	void *reply;
	if (redisGetReply(subscriber, &reply) != REDIS_OK)
		fail("channels", subscriber->errstr);
	return reply;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		fail("usage", "hiredis TRANSPORT WHERE CA PROTOCOL");
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("version %d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
	client = open_connection(argv);
	char every_byte[256];
	for (int i = 0; i < 256; i++)
		every_byte[i] = (char)i;
	is_ok("start", ask("FLUSHALL"));

	is_integer("bits", ask("SETBIT k 7 1"), 0);
	is_integer("bits", ask("SETBIT k 7 1"), 1);
	is_integer("bits", ask("SETBIT k %d 1", 100000), 0);
	is_integer("bits", ask("GETBIT k 7"), 1);
	is_integer("bits", ask("GETBIT k 8"), 0);
	is_integer("bits", ask("BITCOUNT k"), 2);
	puts("ok bits");

	is_ok("bitop", ask("SET a abc"));
	is_ok("bitop", ask("SET b ab"));
	is_integer("bitop", ask("BITOP AND and a b"), 3);
	is_string("bitop", ask("GET and"), REDIS_REPLY_STRING, "ab\0", 3);
	puts("ok bitop");

	is_ok("bytes", ask("SET %b %b", every_byte, sizeof(every_byte), every_byte, sizeof(every_byte)));
	is_string("bytes", ask("GET %b", every_byte, sizeof(every_byte)), REDIS_REPLY_STRING, every_byte, sizeof(every_byte));
	if (ask("GET missing")->type != REDIS_REPLY_NIL)
		fail("bytes", "nil was expected");
	puts("ok bytes");

	is_integer("deadlines", ask("EXPIRE k 100"), 1);
	if (ask("TTL k")->integer <= 90)
		fail("deadlines", "TTL is too small");
	is_integer("deadlines", ask("PERSIST k"), 1);
	is_integer("deadlines", ask("TTL k"), -1);
	puts("ok deadlines");

	is_ok("keys", ask("MSET p:1 1 p:2 2 q:1 3"));
	redisReply *keys = ask("KEYS p:*");
	if (keys->type != REDIS_REPLY_ARRAY || keys->elements != 2 || !has_key(keys, "p:1") || !has_key(keys, "p:2"))
		fail("keys", "KEYS was to find p:1 and p:2");
	const char *cursor = "0";
	int found_p = 0, found_q = 0;
	do {
		redisReply *page = ask("SCAN %s MATCH ?:1 COUNT 1", cursor);
		if (page->type != REDIS_REPLY_ARRAY || page->elements != 2)
			fail("keys", "SCAN was to answer a cursor and keys");
		found_p += has_key(page->element[1], "p:1");
		found_q += has_key(page->element[1], "q:1");
		cursor = page->element[0]->str;
	} while (strcmp(cursor, "0") != 0);
	if (found_p != 1 || found_q != 1)
		fail("keys", "SCAN was to find p:1 and q:1");
	is_integer("keys", ask("DEL p:1 p:2 missing"), 2);
	puts("ok keys");

	is_ok("transaction", ask("MULTI"));
	is_string("transaction", ask("SETBIT t 1 1"), REDIS_REPLY_STATUS, "QUEUED", 6);
	is_string("transaction", ask("SETBIT t 2 1"), REDIS_REPLY_STATUS, "QUEUED", 6);
	is_string("transaction", ask("BITCOUNT t"), REDIS_REPLY_STATUS, "QUEUED", 6);
	redisReply *replies = ask("EXEC");
	if (replies->type != REDIS_REPLY_ARRAY || replies->elements != 3)
		fail("transaction", "three replies were expected");
	is_integer("transaction", replies->element[0], 0);
	is_integer("transaction", replies->element[1], 0);
	is_integer("transaction", replies->element[2], 2);
	puts("ok transaction");

	for (int bit = 0; bit < 1000; bit++)
		redisAppendCommand(client, "SETBIT many %d 1", bit);
	for (int bit = 0; bit < 1000; bit++) {
		void *reply;
		if (redisGetReply(client, &reply) != REDIS_OK)
			fail("pipeline", client->errstr);
		is_integer("pipeline", reply, 0);
		freeReplyObject(reply);
	}
	is_integer("pipeline", ask("BITCOUNT many"), 1000);
	puts("ok pipeline");

	const char *error = "ERR bit offset is not an integer or out of range";
	is_string("error", ask("SETBIT k -1 1"), REDIS_REPLY_ERROR, error, strlen(error));
	is_string("error", ask("PING"), REDIS_REPLY_STATUS, "PONG", 4);
	puts("ok error");

	redisContext *subscriber = open_connection(argv);
#ifdef REDIS_REPLY_PUSH
	redisSetPushCallback(subscriber, NULL); /* or pushes are thrown away */
#endif
	redisAppendCommand(subscriber, "SUBSCRIBE news");
	redisAppendCommand(subscriber, "UNSUBSCRIBE news");
	is_told("channels", next_told(subscriber), "subscribe");
	is_told("channels", next_told(subscriber), "unsubscribe");
	redisAppendCommand(subscriber, "SUBSCRIBE news");
	is_told("channels", next_told(subscriber), "subscribe");
	is_integer("channels", ask("PUBLISH news %b", every_byte, sizeof(every_byte)), 1);
	redisReply *message = next_told(subscriber);
	is_told("channels", message, "message");
	is_string("channels", message->element[2], REDIS_REPLY_STRING, every_byte, sizeof(every_byte));
	redisFree(subscriber);
	puts("ok channels");

	redisReply *self = ask("CLIENT INFO");
	printf("self %.*s\n", (int)self->len, self->str);
	redisFree(client);
	return 0;
}

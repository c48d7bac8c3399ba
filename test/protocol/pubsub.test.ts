import { testConversations } from "../support/conversation.js";

const CONVERSATIONS: Readonly<Record<string, string>> = {
  "a subscriber is told of each subscription, and how many it has": `
    a> SUBSCRIBE c1 c2 c1
       ["subscribe" "c1" :1]
       ["subscribe" "c2" :2]
       ["subscribe" "c1" :2]
    a> PSUBSCRIBE c* ?1
       ["psubscribe" "c*" :3]
       ["psubscribe" "?1" :4]
    a> SSUBSCRIBE s1 s1
       ["ssubscribe" "s1" :1]
       ["ssubscribe" "s1" :1]
    a> UNSUBSCRIBE nope
       ["unsubscribe" "nope" :4]
    a> UNSUBSCRIBE c1
       ["unsubscribe" "c1" :3]
    a> SUNSUBSCRIBE s1
       ["sunsubscribe" "s1" :0]
    a> PUNSUBSCRIBE ?1 c*
       ["punsubscribe" "?1" :2]
       ["punsubscribe" "c*" :1]
    a> UNSUBSCRIBE
       ["unsubscribe" "c2" :0]
    a> UNSUBSCRIBE
       ["unsubscribe" nil :0]
    a> PUNSUBSCRIBE
       ["punsubscribe" nil :0]
    a> SUNSUBSCRIBE
       ["sunsubscribe" nil :0]
    a> UNSUBSCRIBE x y
       ["unsubscribe" "x" :0]
       ["unsubscribe" "y" :0]
  `,
  "in RESP3 it is told in pushes": `
    a> HELLO 3; SUBSCRIBE c1 c2
       (hello)
       >["subscribe" "c1" :1]
       >["subscribe" "c2" :2]
    a> PSUBSCRIBE p*
       >["psubscribe" "p*" :3]
    a> SSUBSCRIBE s
       >["ssubscribe" "s" :1]
    a> PUNSUBSCRIBE
       >["punsubscribe" "p*" :2]
    a> UNSUBSCRIBE c2
       >["unsubscribe" "c2" :1]
    a> UNSUBSCRIBE
       >["unsubscribe" "c1" :0]
    a> UNSUBSCRIBE
       >["unsubscribe" null :0]
    a> SUNSUBSCRIBE
       >["sunsubscribe" "s" :0]
  `,
  "a message goes to the channel's subscribers and then to those of patterns, and is counted": String.raw`
    a> SUBSCRIBE c1
       ["subscribe" "c1" :1]
    b> HELLO 3; PSUBSCRIBE c*
       (hello)
       >["psubscribe" "c*" :1]
    a> PSUBSCRIBE ?1
       ["psubscribe" "?1" :2]
    c> PUBLISH c1 hello
       :3
       a: ["message" "c1" "hello"]
       a: ["pmessage" "?1" "c1" "hello"]
       b: >["pmessage" "c*" "c1" "hello"]
    c> PUBLISH c2 hello
       :1
       b: >["pmessage" "c*" "c2" "hello"]
    c> PUBLISH x hello
       :0
    c> PUBLISH c1 ""
       :3
       a: ["message" "c1" ""]
       a: ["pmessage" "?1" "c1" ""]
       b: >["pmessage" "c*" "c1" ""]
    c> PUBLISH c1 "\u0000\r\n\u00ff"
       :3
       a: ["message" "c1" "\u0000\r\nÿ"]
       a: ["pmessage" "?1" "c1" "\u0000\r\nÿ"]
       b: >["pmessage" "c*" "c1" "\u0000\r\nÿ"]
  `,
  "a shard channel is no channel": `
    a> SSUBSCRIBE c
       ["ssubscribe" "c" :1]
    b> SUBSCRIBE c
       ["subscribe" "c" :1]
    c> PSUBSCRIBE *
       ["psubscribe" "*" :1]
    d> SPUBLISH c one
       :1
       a: ["smessage" "c" "one"]
    d> PUBLISH c two
       :2
       b: ["message" "c" "two"]
       c: ["pmessage" "*" "c" "two"]
    d> SPUBLISH d none
       :0
  `,
  "who subscribed by a name and by patterns gets a message each time": `
    a> SUBSCRIBE news; PSUBSCRIBE n*
       ["subscribe" "news" :1]
       ["psubscribe" "n*" :2]
    b> PUBLISH news x
       :2
       a: ["message" "news" "x"]
       a: ["pmessage" "n*" "news" "x"]
  `,
  "messages of one publisher come in their order": `
    a> SUBSCRIBE a b
       ["subscribe" "a" :1]
       ["subscribe" "b" :2]
    b> PUBLISH a 1; PUBLISH b 2; PUBLISH a 3; PUBLISH b 4
       :1
       :1
       :1
       :1
       a: ["message" "a" "1"]
       a: ["message" "b" "2"]
       a: ["message" "a" "3"]
       a: ["message" "b" "4"]
  `,
  "in RESP2 a subscriber may do little else": `
    a> SUBSCRIBE c
       ["subscribe" "c" :1]
    a> GET k
       -ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context
    a> PING
       ["pong" ""]
    a> PING text
       ["pong" "text"]
    a> PING a b
       -ERR wrong number of arguments for 'ping' command
    a> SET k
       -ERR wrong number of arguments for 'set' command
    a> CLIENT ID
       -ERR Can't execute 'client|id': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context
    a> CLIENT NOSUCH
       -ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.
    a> MULTI
       -ERR Can't execute 'multi': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context
    a> EXEC
       -EXECABORT Transaction discarded because of: Can't execute 'exec': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context
    a> HELLO 3
       -ERR Can't execute 'hello': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context
    a> AUTH x
       -ERR Can't execute 'auth': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context
    a> PUBLISH c x
       -ERR Can't execute 'publish': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context
    a> MONITOR
       -ERR Can't execute 'monitor': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context
    a> UNSUBSCRIBE c; GET k
       ["unsubscribe" "c" :0]
       nil
  `,
  "in RESP3 it may do everything": `
    a> HELLO 3; SUBSCRIBE c
       (hello)
       >["subscribe" "c" :1]
    a> GET k
       null
    a> PING
       +PONG
    a> PING text
       "text"
    a> MULTI; GET k; EXEC
       +OK
       +QUEUED
       [null]
  `,
  "its own message comes before the reply to PUBLISH": `
    a> HELLO 3; SUBSCRIBE c
       (hello)
       >["subscribe" "c" :1]
    a> PUBLISH c m
       >["message" "c" "m"]
       :1
    a> MULTI; PUBLISH c m; GET k; SUBSCRIBE d; EXEC
       +OK
       +QUEUED
       +QUEUED
       +QUEUED
       [>["message" "c" "m"] :1 null]
       >["subscribe" "d" :2]
  `,
  "HELLO 2 makes a subscriber one of RESP2": `
    a> HELLO 3; SUBSCRIBE c
       (hello)
       >["subscribe" "c" :1]
    a> HELLO 2; GET k; PING
       (hello)
       -ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context
       ["pong" ""]
    b> PUBLISH c m
       :1
       a: ["message" "c" "m"]
  `,
  "transactions subscribe and publish": `
    a> MULTI; SUBSCRIBE c; GET k; PING; UNSUBSCRIBE; EXEC
       +OK
       +QUEUED
       +QUEUED
       +QUEUED
       +QUEUED
       [["subscribe" "c" :1] nil ["pong" ""] ["unsubscribe" "c" :0]]
    a> MULTI; SUBSCRIBE c; EXEC; GET k
       +OK
       +QUEUED
       [["subscribe" "c" :1]]
       -ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context
    b> MULTI; PUBLISH c 1; SET k v; PUBLISH c 2; DEL k; EXEC
       +OK
       +QUEUED
       +QUEUED
       +QUEUED
       +QUEUED
       [:1 +OK :1 :1]
       a: ["message" "c" "1"]
       a: ["message" "c" "2"]
    b> MULTI; PUBLISH c 3; DISCARD
       +OK
       +QUEUED
       +OK
  `,
  "CLIENT REPLY keeps no message back": `
    a> HELLO 3; CLIENT REPLY OFF; SUBSCRIBE c; PUBLISH c m; GET k; CLIENT REPLY ON
       (hello)
       >["subscribe" "c" :1]
       >["message" "c" "m"]
       +OK
    a> CLIENT REPLY SKIP; PUBLISH c m
       >["message" "c" "m"]
    a> CLIENT REPLY SKIP; SUBSCRIBE d
       >["subscribe" "d" :2]
    b> CLIENT REPLY OFF; SUBSCRIBE c; RESET; CLIENT REPLY ON
       ["subscribe" "c" :1]
       +RESET
       +OK
  `,
  "RESET ends all subscriptions, without a word": `
    a> SUBSCRIBE c; PSUBSCRIBE c*; SSUBSCRIBE c; RESET; GET k
       ["subscribe" "c" :1]
       ["psubscribe" "c*" :2]
       ["ssubscribe" "c" :1]
       +RESET
       nil
    b> PUBLISH c m; SPUBLISH c m; PUBSUB NUMPAT
       :0
       :0
       :0
    a> HELLO 3; SUBSCRIBE c; RESET; GET k
       (hello)
       >["subscribe" "c" :1]
       +RESET
       nil
  `,
  "QUIT ends them too": `
    a> SUBSCRIBE c; QUIT
       ["subscribe" "c" :1]
       +OK
       closed
    b> PUBLISH c m; PUBSUB CHANNELS
       :0
       []
  `,
  "PUBSUB tells who is there": `
    a> SUBSCRIBE c1 d1; PSUBSCRIBE x* y*
       ["subscribe" "c1" :1]
       ["subscribe" "d1" :2]
       ["psubscribe" "x*" :3]
       ["psubscribe" "y*" :4]
    b> SUBSCRIBE c1; PSUBSCRIBE x*; SSUBSCRIBE s1
       ["subscribe" "c1" :1]
       ["psubscribe" "x*" :2]
       ["ssubscribe" "s1" :1]
    c> PUBSUB CHANNELS c*
       ["c1"]
    c> PUBSUB CHANNELS nope
       []
    c> PUBSUB NUMSUB
       []
    c> PUBSUB NUMSUB c1 d1 nope c1
       ["c1" :2 "d1" :1 "nope" :0 "c1" :2]
    c> PUBSUB NUMPAT
       :2
    c> PUBSUB SHARDCHANNELS
       ["s1"]
    c> PUBSUB SHARDCHANNELS t*
       []
    c> PUBSUB SHARDNUMSUB s1 c1
       ["s1" :1 "c1" :0]
    c> HELLO 3; PUBSUB NUMSUB c1
       (hello)
       ["c1" :2]
  `,
  "wrong arguments": `
    a> SUBSCRIBE
       -ERR wrong number of arguments for 'subscribe' command
    a> PSUBSCRIBE
       -ERR wrong number of arguments for 'psubscribe' command
    a> SSUBSCRIBE
       -ERR wrong number of arguments for 'ssubscribe' command
    a> PUBLISH c
       -ERR wrong number of arguments for 'publish' command
    a> SPUBLISH c m m
       -ERR wrong number of arguments for 'spublish' command
    a> PUBSUB
       -ERR wrong number of arguments for 'pubsub' command
    a> PUBSUB NOSUCH
       -ERR unknown subcommand 'NOSUCH'. Try PUBSUB HELP.
    a> PUBSUB CHANNELS a b
       -ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.
    a> PUBSUB SHARDCHANNELS a b
       -ERR unknown subcommand or wrong number of arguments for 'SHARDCHANNELS'. Try PUBSUB HELP.
    a> PUBSUB NUMPAT a
       -ERR wrong number of arguments for 'pubsub|numpat' command
  `,
  "CLIENT KILL ends subscribers, who get no more messages": `
    a> SUBSCRIBE c
       ["subscribe" "c" :1]
    b> PSUBSCRIBE c*
       ["psubscribe" "c*" :1]
    c> PUBLISH c m; CLIENT KILL TYPE pubsub; PUBLISH c m
       :2
       :2
       :0
       a: closed
       b: closed
    c> CLIENT KILL TYPE pubsub
       :0
  `,
};

testConversations("channels", CONVERSATIONS);

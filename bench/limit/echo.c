// An echo: sends back what it reads. No server that has to look at the bytes can be faster on the same sockets.
// Linux only (epoll). Usage: echo PORT

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 1024, BUFFER_BYTES = 64 * 1024, BACKLOG = 4096 };

static char buffer[BUFFER_BYTES];

static void check(int result, const char *what) {
  if (result >= 0) return;
  perror(what);
  exit(1);
}

static void watch(int poll, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  check(epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

// What the client does not take at once is waited for: it reads all replies before it sends more.
static int send_all(int fd, const char *bytes, ssize_t length) {
  while (length > 0) {
    ssize_t sent = write(fd, bytes, length);
    if (sent < 0) {
      if (errno == EAGAIN || errno == EINTR) continue;
      return -1;
    }
    bytes += sent;
    length -= sent;
  }
  return 0;
}

static void echo(int fd) {
  ssize_t length = read(fd, buffer, sizeof buffer);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length <= 0 || send_all(fd, buffer, length) < 0) close(fd);
}

static void accept_all(int poll, int listener) {
  int fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(poll, fd);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) return 1;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  check(listener, "socket");
  int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  check(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
  check(listen(listener, BACKLOG), "listen");
  int poll = epoll_create1(0);
  check(poll, "epoll_create1");
  watch(poll, listener);

  struct epoll_event events[EVENTS_MAX];
  for (;;) {
    int count = epoll_wait(poll, events, EVENTS_MAX, -1);
    for (int i = 0; i < count; i++) {
      if (events[i].data.fd == listener)
        accept_all(poll, listener);
      else
        echo(events[i].data.fd);
    }
  }
}

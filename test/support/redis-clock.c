/* A wall clock for redis-server that a test holds in its hand: preloaded into the process, it answers the three calls
 * Redis asks the time with from a file of eight bytes (microseconds since the epoch, native byte order), mapped once.
 * The monotonic clock stays the machine's, so that Redis' own timers go on. libfaketime would be the ready-made part, but
 * it and jemalloc, which redis-server is linked with, each wait for the other at start.
 * It also ends the server with the test that started it, for a test run may break off without a chance to do so. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *micros;

__attribute__((constructor)) static void map_clock(void) {
  const char *path = getenv("REDIS_CLOCK_FILE");
  int fd = path ? open(path, O_RDONLY) : -1;
  if (fd < 0) return;
  void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (page != MAP_FAILED) micros = page;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

int clock_gettime(clockid_t id, struct timespec *ts) {
  if (!micros || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return syscall(SYS_clock_gettime, id, ts);
  int64_t now = *micros;
  ts->tv_sec = now / 1000000;
  ts->tv_nsec = now % 1000000 * 1000;
  return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz) {
  struct timespec ts;
  (void)tz;
  if (clock_gettime(CLOCK_REALTIME, &ts)) return -1;
  tv->tv_sec = ts.tv_sec;
  tv->tv_usec = ts.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec ts;
  if (clock_gettime(CLOCK_REALTIME, &ts)) return -1;
  if (out) *out = ts.tv_sec;
  return ts.tv_sec;
}

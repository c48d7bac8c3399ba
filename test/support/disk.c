/* A disk that a test holds in its hand: preloaded into the server, it stands between SQLite and the system for the files
 * whose path begins with DISK_PREFIX (the database, its -wal and -journal; not -shm, which is memory, and not -lock).
 * DISK_TRACE names a file that gets a record of everything done to them, in order and with the data, so that a test can
 * make of it what a loss of power would leave. DISK_FAULT names a file of three 32-bit numbers, mapped once: while the first
 * is not 0 writes fail with it as errno, while the second is not 0 syncs do, and while the third is not 0 syncs do not end.
 * One lock is held over each call and its record, so that the order in the trace is the order on the disk. A write is
 * recorded before it is done, a sync after it: a kill in between claims nothing that is not so.
 * It also ends the server with the test that started it, for a test run may break off without a chance to do so. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { NAME = 1, WRITE, TRUNCATE, SYNC, UNLINK, RENAME };
enum { FDS_MAX = 65536, FILES_MAX = 64 };

/* Native byte order, followed by `length` bytes: of a WRITE the data, of a NAME what follows the prefix. */
struct header {
  uint32_t kind;
  uint32_t file;
  uint64_t offset; /* of a TRUNCATE the new length, of a RENAME the number of the file it becomes */
  uint64_t length;
  uint64_t ns; /* CLOCK_MONOTONIC, as Node's process.hrtime */
};

struct fault {
  int32_t write_errno;
  int32_t sync_errno;
  int32_t sync_waits;
};

enum { HOLD_POLL_US = 1000 };

static const char *prefix;
static int trace_fd = -1;
static const volatile struct fault *fault;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *names[FILES_MAX];
/* By descriptor the number of the file plus 1; 0 is a file that is not ours to watch. */
static volatile unsigned char files[FDS_MAX];

__attribute__((constructor)) static void begin(void) {
  const char *trace = getenv("DISK_TRACE"), *control = getenv("DISK_FAULT");
  if (trace) trace_fd = syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (control) {
    int fd = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY);
    void *page = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(struct fault), PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) fault = page;
    if (fd >= 0) syscall(SYS_close, fd);
  }
  prefix = getenv("DISK_PREFIX");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* One writev, so that a kill leaves whole records, of which the last may be cut. */
static void record(uint32_t kind, uint32_t file, uint64_t offset, const void *data, uint64_t length) {
  if (trace_fd < 0) return;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  struct header header = {kind, file, offset, length, now.tv_sec * 1000000000ull + now.tv_nsec};
  struct iovec parts[2] = {{&header, sizeof header}, {(void *)data, length}};
  if (syscall(SYS_writev, trace_fd, parts, 2) < 0) abort(); /* a trace with a hole would accuse the server */
}

/* The number of the file plus 1, or 0. With the lock held. */
static int watched(const char *path) {
  if (!prefix || !path || strncmp(path, prefix, strlen(prefix)) != 0) return 0;
  const char *name = path + strlen(prefix);
  if (strcmp(name, "-shm") == 0 || strncmp(name, "-lock", 5) == 0) return 0;
  for (int i = 0; i < FILES_MAX; i++) {
    if (names[i] && strcmp(names[i], name) == 0) return i + 1;
    if (names[i]) continue;
    names[i] = strdup(name);
    record(NAME, i, 0, name, strlen(name));
    return i + 1;
  }
  abort();
}

static int file_of(int fd) { return fd >= 0 && fd < FDS_MAX ? files[fd] : 0; }

static int fails(int error) {
  if (error) errno = error;
  return error != 0;
}

static int open_watched(int folder, const char *path, int flags, mode_t mode) {
  int fd = syscall(SYS_openat, folder, path, flags, mode);
  if (fd < 0 || fd >= FDS_MAX) return fd;
  int error = errno;
  pthread_mutex_lock(&lock);
  files[fd] = watched(path);
  if (files[fd] && (flags & O_TRUNC)) record(TRUNCATE, files[fd] - 1, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return fd;
}

/* The mode is there only when a file may be made. */
#define OPEN_MODE(mode, flags)                            \
  mode_t mode = 0;                                        \
  if ((flags) & (O_CREAT | O_TMPFILE)) {                  \
    va_list rest;                                         \
    va_start(rest, flags);                                \
    mode = va_arg(rest, mode_t);                          \
    va_end(rest);                                         \
  }

int open(const char *path, int flags, ...) {
  OPEN_MODE(mode, flags)
  return open_watched(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  OPEN_MODE(mode, flags)
  return open_watched(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
  OPEN_MODE(mode, flags)
  return open_watched(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
  OPEN_MODE(mode, flags)
  return open_watched(folder, path, flags, mode);
}

int close(int fd) {
  if (file_of(fd)) files[fd] = 0;
  return syscall(SYS_close, fd);
}

static ssize_t write_watched(int fd, const void *data, size_t length, int64_t offset, int at) {
  if (fault && fails(fault->write_errno)) return -1;
  pthread_mutex_lock(&lock);
  record(WRITE, file_of(fd) - 1, at ? (uint64_t)offset : (uint64_t)lseek(fd, 0, SEEK_CUR), data, length);
  ssize_t done = at ? syscall(SYS_pwrite64, fd, data, length, offset) : syscall(SYS_write, fd, data, length);
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
  if (!file_of(fd)) return syscall(SYS_pwrite64, fd, data, length, offset);
  return write_watched(fd, data, length, offset, 1);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

ssize_t write(int fd, const void *data, size_t length) {
  if (!file_of(fd)) return syscall(SYS_write, fd, data, length);
  return write_watched(fd, data, length, 0, 0);
}

int ftruncate64(int fd, off64_t length) {
  if (!file_of(fd)) return syscall(SYS_ftruncate, fd, length);
  if (fault && fails(fault->write_errno)) return -1;
  pthread_mutex_lock(&lock);
  record(TRUNCATE, file_of(fd) - 1, length, NULL, 0);
  int done = syscall(SYS_ftruncate, fd, length);
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int sync_watched(long call, int fd) {
  if (!file_of(fd)) return syscall(call, fd);
  while (fault && fault->sync_waits) usleep(HOLD_POLL_US);
  if (fault && fails(fault->sync_errno)) return -1;
  pthread_mutex_lock(&lock);
  int done = syscall(call, fd);
  int error = errno;
  if (done == 0) record(SYNC, file_of(fd) - 1, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

int fsync(int fd) { return sync_watched(SYS_fsync, fd); }

int fdatasync(int fd) { return sync_watched(SYS_fdatasync, fd); }

int unlink(const char *path) {
  pthread_mutex_lock(&lock);
  int file = watched(path);
  if (file) record(UNLINK, file - 1, 0, NULL, 0);
  int done = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

/* A file that becomes one of ours is one already, by its name: the trace has what was written to it. */
int rename(const char *from, const char *to) {
  pthread_mutex_lock(&lock);
  int source = watched(from), target = watched(to);
  if (source && target) record(RENAME, source - 1, target - 1, NULL, 0);
  else if (source) record(UNLINK, source - 1, 0, NULL, 0);
  int done = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

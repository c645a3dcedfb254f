/* A disk that fails at the N-th call, for LD_PRELOAD. tests/faults/disk.py says which: see fault_arm() at the end.

   Calls are counted that touch a file or a folder below one of the FAULT_FOLDERS, a list with colons. Files that were
   written and not synced are remembered, for they are what a loss of power takes away. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SHORT = -1, POWER = -2 };
static char failing[16];
static long left;
static int code, always, log_file = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define MOST_FILES 512
static struct { dev_t device; ino_t node; int file; } unsynced[MOST_FILES];

#define REAL(NAME) \
  static __typeof__(NAME) *real; \
  if (!real) real = (__typeof__(NAME) *)dlsym(RTLD_NEXT, #NAME)

static int below(const char *path) {
  const char *folders = getenv("FAULT_FOLDERS");
  for (const char *at = folders; at && *at; at = strchr(at, ':') ? strchr(at, ':') + 1 : "") {
    size_t length = strcspn(at, ":");
    if (!strncmp(path, at, length) && (path[length] == '/' || !path[length])) return 1;
  }
  return 0;
}

/* Unsynced files --------------------------------------------------------------------------------------------------- */

static void remember(int file) {
  struct stat now;
  char name[64], path[4096];
  int slot = -1;
  snprintf(name, sizeof name, "/proc/self/fd/%d", file);
  ssize_t length = readlink(name, path, sizeof path - 1);
  if (length < 0 || fstat(file, &now) || !S_ISREG(now.st_mode)) return;
  path[length] = 0;
  if (!below(path)) return;
  for (int n = 0; n < MOST_FILES; n++) {
    if (unsynced[n].file && unsynced[n].device == now.st_dev && unsynced[n].node == now.st_ino) return;
    if (!unsynced[n].file && slot < 0) slot = n;
  }
  if (slot < 0) return;
  int copy = fcntl(file, F_DUPFD_CLOEXEC, 600);
  if (copy >= 0) unsynced[slot].device = now.st_dev, unsynced[slot].node = now.st_ino, unsynced[slot].file = copy;
}

static void forget(int file) {
  struct stat now;
  if (fstat(file, &now)) return;
  for (int n = 0; n < MOST_FILES; n++)
    if (unsynced[n].file && unsynced[n].device == now.st_dev && unsynced[n].node == now.st_ino)
      close(unsynced[n].file), unsynced[n].file = 0;
}

static void lose_power(void) {
  for (int n = 0; n < MOST_FILES; n++)
    if (unsynced[n].file) syscall(SYS_ftruncate, unsynced[n].file, 0L);  /* past the function below */
  kill(getpid(), SIGKILL);
}

/* Which call fails ------------------------------------------------------------------------------------------------- */

static int fails_at(const char *kind, const char *path) {
  int before = errno, fails = 0;
  if (!below(path)) return 0;
  pthread_mutex_lock(&lock);
  if (log_file >= 0) dprintf(log_file, "%s %s\n", kind, path);
  if (!strcmp(failing, "any") || !strcmp(failing, kind)) {
    left--;
    fails = left == 0 || (always && left < 0);
    if (fails && left == 0 && log_file >= 0) dprintf(log_file, "! %s %s\n", kind, path);
  }
  pthread_mutex_unlock(&lock);
  if (fails && code == POWER) lose_power();
  errno = fails && code > 0 ? code : before;
  return fails;
}

static int fails_in(const char *kind, int folder, const char *path) {
  char name[64], start[4096], whole[8300];
  if (!path || path[0] == '/') return fails_at(kind, path ? path : "");
  ssize_t length = -1;
  if (folder == AT_FDCWD) {
    if (getcwd(start, sizeof start)) length = strlen(start);
  } else {
    snprintf(name, sizeof name, "/proc/self/fd/%d", folder);
    length = readlink(name, start, sizeof start - 1);
  }
  if (length < 0) return 0;
  start[length] = 0;
  snprintf(whole, sizeof whole, "%s%s%s", start, *path ? "/" : "", path);
  return fails_at(kind, whole);
}

static int fails_of(const char *kind, int file) {
  int before = errno, fails = fails_in(kind, file, "");
  if (!fails) errno = before;
  return fails;
}

/* The calls -------------------------------------------------------------------------------------------------------- */

#define OPEN(NAME) \
  int NAME(const char *path, int flags, ...) { \
    REAL(NAME); \
    va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); \
    return fails_in("open", AT_FDCWD, path) && code > 0 ? -1 : real(path, flags, mode); \
  }
#define OPENAT(NAME) \
  int NAME(int folder, const char *path, int flags, ...) { \
    REAL(NAME); \
    va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); \
    return fails_in("open", folder, path) && code > 0 ? -1 : real(folder, path, flags, mode); \
  }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)

#define SOME(size) (fails ? ((size) + 1) / 2 : (size))
#define MOVE(NAME, KIND, ARGUMENTS, VALUES, AFTER) \
  ssize_t NAME ARGUMENTS { \
    REAL(NAME); \
    int fails = fails_of(KIND, file); \
    if (fails && code > 0) return -1; \
    AFTER; \
    return real VALUES; \
  }
MOVE(read, "read", (int file, void *to, size_t size), (file, to, SOME(size)), )
MOVE(pread, "read", (int file, void *to, size_t size, off_t at), (file, to, SOME(size), at), )
MOVE(pread64, "read", (int file, void *to, size_t size, off64_t at), (file, to, SOME(size), at), )
MOVE(write, "write", (int file, const void *from, size_t size), (file, from, SOME(size)), remember(file))
MOVE(pwrite, "write", (int file, const void *from, size_t size, off_t at), (file, from, SOME(size), at), remember(file))
MOVE(pwrite64, "write", (int file, const void *from, size_t size, off64_t at), (file, from, SOME(size), at), remember(file))

#define ON_FILE(NAME, KIND, ARGUMENTS, VALUES, AFTER) \
  int NAME ARGUMENTS { \
    REAL(NAME); \
    if (fails_of(KIND, file) && code > 0) return -1; \
    int result = real VALUES; \
    AFTER; \
    return result; \
  }
ON_FILE(fsync, "sync", (int file), (file), forget(file))
ON_FILE(fdatasync, "sync", (int file), (file), forget(file))
ON_FILE(ftruncate, "truncate", (int file, off_t size), (file, size), )
ON_FILE(ftruncate64, "truncate", (int file, off64_t size), (file, size), )

#define ON_PATH(NAME, KIND, FOLDER, PATH, ARGUMENTS, VALUES) \
  int NAME ARGUMENTS { \
    REAL(NAME); \
    return fails_in(KIND, FOLDER, PATH) && code > 0 ? -1 : real VALUES; \
  }
ON_PATH(rename, "rename", AT_FDCWD, from, (const char *from, const char *to), (from, to))
ON_PATH(renameat, "rename", a, from, (int a, const char *from, int b, const char *to), (a, from, b, to))
ON_PATH(renameat2, "rename", a, from, (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags))
ON_PATH(link, "link", AT_FDCWD, from, (const char *from, const char *to), (from, to))
ON_PATH(linkat, "link", a, from, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
ON_PATH(mkdir, "mkdir", AT_FDCWD, path, (const char *path, mode_t mode), (path, mode))
ON_PATH(mkdirat, "mkdir", a, path, (int a, const char *path, mode_t mode), (a, path, mode))
ON_PATH(unlink, "unlink", AT_FDCWD, path, (const char *path), (path))
ON_PATH(unlinkat, "unlink", a, path, (int a, const char *path, int flags), (a, path, flags))
ON_PATH(rmdir, "unlink", AT_FDCWD, path, (const char *path), (path))
ON_PATH(stat, "stat", AT_FDCWD, path, (const char *path, struct stat *to), (path, to))
ON_PATH(stat64, "stat", AT_FDCWD, path, (const char *path, struct stat64 *to), (path, to))
ON_PATH(lstat, "stat", AT_FDCWD, path, (const char *path, struct stat *to), (path, to))
ON_PATH(lstat64, "stat", AT_FDCWD, path, (const char *path, struct stat64 *to), (path, to))
ON_PATH(fstatat, "stat", a, path, (int a, const char *path, struct stat *to, int flags), (a, path, to, flags))
ON_PATH(fstatat64, "stat", a, path, (int a, const char *path, struct stat64 *to, int flags), (a, path, to, flags))

DIR *opendir(const char *path) {
  REAL(opendir);
  return fails_in("list", AT_FDCWD, path) && code > 0 ? NULL : real(path);
}

struct dirent64 *readdir64(DIR *folder) {
  REAL(readdir64);
  return fails_of("list", dirfd(folder)) && code > 0 ? NULL : real(folder);
}

/* Lets the n-th call of a kind fail, "any" for all kinds, once or from then on. `how` is an errno; -1 for a short read
   or write; -2 for a loss of power: what was not synced is gone, and so is the process. Calls are written to `log`. */
void fault_arm(const char *kind, long n, int how, int for_good, int log) {
  snprintf(failing, sizeof failing, "%s", kind);
  for (int n = 0; n < MOST_FILES; n++) unsynced[n].file = 0;
  left = n, code = how, always = for_good, log_file = log;
}

/* A library that goes in front of libc (LD_PRELOAD) and makes system calls and allocations fail on demand.

   `failing_arm(kind, descriptor, error, every)`: from now on each `every`th call of the kind fails with the error. If
   the kind has a descriptor, only calls on this descriptor count. `failing_disarm()` ends the failures and returns how
   many calls have failed. Allocations fail only for the module of the address in `failing_module(address)`, and never
   for Python itself. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { SEND, RECEIVE, WAIT, SOCKET, MEMORY, NOTHING };

static volatile enum kind failing = NOTHING;
static int failing_descriptor, failing_error, failing_every, calls;
static volatile int failed;
static uintptr_t module_begin, module_end;

void failing_arm(int kind, int descriptor, int error, int every);
int failing_disarm(void);
int failing_module(const void *address);
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

void failing_arm(int kind, int descriptor, int error, int every) {
    failing_descriptor = descriptor;
    failing_error = error;
    failing_every = every;
    calls = failed = 0;
    failing = kind;
}

int failing_disarm(void) {
    failing = NOTHING;
    return failed;
}

static int note_module(struct dl_phdr_info *info, size_t size, void *address) {
    (void)size;
    uintptr_t at = (uintptr_t)address;
    for (int index = 0; index < info->dlpi_phnum; index++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[index];
        uintptr_t begin = info->dlpi_addr + part->p_vaddr, end = begin + part->p_memsz;
        if (part->p_type == PT_LOAD && part->p_flags & PF_X && at >= begin && at < end) {
            module_begin = begin;
            module_end = end;
            return 1;
        }
    }
    return 0;
}

/* Whether there is code at the address. */
int failing_module(const void *address) {
    return dl_iterate_phdr(note_module, (void *)(uintptr_t)address);
}

static int is_due(enum kind kind, int descriptor) {
    if (failing != kind || (descriptor >= 0 && descriptor != failing_descriptor) || ++calls % failing_every)
        return 0;
    failed++;
    errno = failing_error;
    return 1;
}

static void *next(void **found, const char *name) {
    if (!*found)
        *found = dlsym(RTLD_NEXT, name);
    return *found;
}

/* A call: its name, its result type, its parameters, its kind, its descriptor or -1, and its arguments. */
#define CALL(result, name, parameters, kind, descriptor, arguments)                                                    \
    result name parameters {                                                                                           \
        static void *found;                                                                                            \
        if (is_due(kind, descriptor))                                                                                  \
            return -1;                                                                                                 \
        return((result(*) parameters)next(&found, #name)) arguments;                                                   \
    }

CALL(ssize_t, send, (int fd, const void *data, size_t size, int flags), SEND, fd, (fd, data, size, flags))
CALL(ssize_t, sendto,
     (int fd, const void *data, size_t size, int flags, const struct sockaddr *address, socklen_t length), SEND, fd,
     (fd, data, size, flags, address, length))
CALL(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), SEND, fd, (fd, message, flags))
CALL(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags), SEND, fd,
     (fd, messages, count, flags))
CALL(ssize_t, write, (int fd, const void *data, size_t size), SEND, fd, (fd, data, size))
CALL(ssize_t, writev, (int fd, const struct iovec *parts, int count), SEND, fd, (fd, parts, count))
CALL(ssize_t, recv, (int fd, void *data, size_t size, int flags), RECEIVE, fd, (fd, data, size, flags))
CALL(ssize_t, recvfrom, (int fd, void *data, size_t size, int flags, struct sockaddr *address, socklen_t *length),
     RECEIVE, fd, (fd, data, size, flags, address, length))
CALL(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), RECEIVE, fd, (fd, message, flags))
CALL(int, recvmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit), RECEIVE, fd,
     (fd, messages, count, flags, limit))
CALL(ssize_t, read, (int fd, void *data, size_t size), RECEIVE, fd, (fd, data, size))
CALL(ssize_t, readv, (int fd, const struct iovec *parts, int count), RECEIVE, fd, (fd, parts, count))
CALL(int, ppoll, (struct pollfd * polled, nfds_t count, const struct timespec *limit, const sigset_t *mask), WAIT, -1,
     (polled, count, limit, mask))
CALL(int, epoll_wait, (int fd, struct epoll_event *events, int count, int limit), WAIT, -1, (fd, events, count, limit))
CALL(int, socket, (int family, int kind, int protocol), SOCKET, -1, (family, kind, protocol))

static int is_without_memory(const void *caller) {
    uintptr_t at = (uintptr_t)caller;
    return failing == MEMORY && at >= module_begin && at < module_end && is_due(MEMORY, -1);
}

void *malloc(size_t size) {
    return is_without_memory(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return is_without_memory(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    return is_without_memory(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}

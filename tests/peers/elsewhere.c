/* A process on a machine whose clock is wrong, or whose name service knows a name of the test's: loaded before libc (LD_PRELOAD).
 *
 * TEST_CLOCK_AHEAD  seconds by which this machine's clock is ahead
 * TEST_NAME         a name, and
 * TEST_ADDRESSES    its addresses, parted by spaces, in the order in which they are to be tried
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int outcome = (int)syscall(SYS_clock_gettime, clock, time);
    const char *ahead = getenv("TEST_CLOCK_AHEAD");
    if (outcome == 0 && clock == CLOCK_REALTIME && ahead) {
        time->tv_sec += atol(ahead);
    }
    return outcome;
}

typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    lookup *libc = (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *ours = getenv("TEST_NAME"), *addresses = getenv("TEST_ADDRESSES");
    if (!name || !ours || !addresses || strcmp(name, ours) != 0) {
        return libc(name, service, hints, found);
    }
    char list[256] = "", *rest = NULL;
    strncpy(list, addresses, sizeof list - 1);
    for (char *one = strtok_r(list, " ", &rest); one; one = strtok_r(NULL, " ", &rest)) {
        int failed = libc(one, service, hints, found);
        if (failed) {
            return failed;
        }
        while (*found) {
            found = &(*found)->ai_next;
        }
    }
    return 0;
}

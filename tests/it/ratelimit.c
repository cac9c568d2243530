/* Asks systemd's own ratelimit_below(), with the clocks under our hand.
 *
 * ratelimit LIBRARY, and on standard input a line for each limit: interval, burst, and the times in microseconds at
 * which a start is asked for. Answers each line with a 1 or a 0 for each time, and ends with the clock that was read. */

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* As src/basic/ratelimit.h has it. */
struct rate_limit {
        uint64_t interval;
        unsigned burst;
        unsigned num;
        uint64_t begin;
};

static uint64_t now;
static int clock_read = -1;

/* In front of libc's, for the library too. */
int clock_gettime(clockid_t clock, struct timespec *time) {
        clock_read = clock;
        time->tv_sec = now / 1000000;
        time->tv_nsec = now % 1000000 * 1000;
        return 0;
}

int main(int argc, char **argv) {
        void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
        bool (*below)(struct rate_limit *) = library ? dlsym(library, "ratelimit_below") : NULL;
        char *line = NULL;
        size_t size = 0;

        if (!below) {
                fprintf(stderr, "no ratelimit_below: %s\n", dlerror());
                return 1;
        }
        while (getline(&line, &size, stdin) > 0) {
                char *rest = line, *end;
                struct rate_limit limit = { .interval = strtoull(rest, &rest, 10) };

                limit.burst = strtoul(rest, &rest, 10);
                while (now = strtoull(rest, &end, 10), end != rest) {
                        putchar(below(&limit) ? '1' : '0');
                        rest = end;
                }
                putchar('\n');
        }
        printf("%d\n", clock_read);
        return 0;
}

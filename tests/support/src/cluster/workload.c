/* The program of the tests' containers. It runs until a signal ends it; as `workload N` it exits with the code N. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void end(int signal) {
    (void)signal;
    _exit(0);
}

int main(int count, char **words) {
    if (count > 1)
        return atoi(words[1]);
    /* The first process of a container gets only the signals that it handles. */
    signal(SIGTERM, end);
    signal(SIGINT, end);
    for (;;)
        pause();
}

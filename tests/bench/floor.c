/* The floor of the polling benchmark: a client that only reads.
 *
 * One epoll loop, one request in flight on each connection, function 3, no decoding, no judging.
 *   floor PORTS REGISTERS SECONDS     PORTS = comma-separated, on 127.0.0.1
 * Prints the number of replies per second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096 };
struct link { int fd; uint16_t id; size_t have; unsigned char in[512]; };
static struct link links[MOST];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void ask(struct link *l, int registers) {
    unsigned char q[12] = {0, 0, 0, 0, 0, 6, 1, 3, 0, 0, 0, 0};
    l->id++;
    q[0] = l->id >> 8; q[1] = l->id & 255;
    q[10] = registers >> 8; q[11] = registers & 255;
    if (write(l->fd, q, sizeof q) != sizeof q) { perror("write"); exit(1); }
}

int main(int argc, char **argv) {
    if (argc != 4) { fprintf(stderr, "floor PORTS REGISTERS SECONDS\n"); return 2; }
    int registers = atoi(argv[2]), count = 0, ep = epoll_create1(0);
    double seconds = atof(argv[3]);
    size_t want = 9 + 2 * (size_t)registers;
    for (char *p = strtok(argv[1], ","); p && count < MOST; p = strtok(NULL, ",")) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(p))};
        struct link *l = &links[count];
        int one = 1;
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        l->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(l->fd, (struct sockaddr *)&to, sizeof to)) { perror("connect"); return 1; }
        setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)count++};
        epoll_ctl(ep, EPOLL_CTL_ADD, l->fd, &e);
    }
    unsigned long long replies = 0;
    double begin = now(), end = begin + seconds;
    for (int i = 0; i < count; i++) ask(&links[i], registers);
    while (now() < end) {
        struct epoll_event ready[256];
        int n = epoll_wait(ep, ready, 256, 100);
        for (int i = 0; i < n; i++) {
            struct link *l = &links[ready[i].data.u32];
            ssize_t got = read(l->fd, l->in + l->have, sizeof l->in - l->have);
            if (got <= 0) { fprintf(stderr, "a connection ended\n"); return 1; }
            l->have += (size_t)got;
            if (l->have >= want) { l->have = 0; replies++; ask(l, registers); }
        }
    }
    printf("%.0f\n", (double)replies / (now() - begin));
    return 0;
}

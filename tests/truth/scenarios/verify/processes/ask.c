// Connects to 127.0.0.1, sends "ask", and waits for the answer: `ask PORT`.
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[3];
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (argc != 2)
        return 2;
    peer.sin_port = htons(atoi(argv[1]));
    if (connect(client, (struct sockaddr *)&peer, sizeof(peer)))
        return 3;
    if (write(client, "ask", 3) != 3 || recv(client, answer, 3, MSG_WAITALL) != 3)
        return 4;
    return memcmp(answer, "ask", 3) != 0;
}

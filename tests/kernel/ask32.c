/* A 32-bit program for x86 without a C library: ask32 socketcall|tcp|datagram|named PORT, or unix 0 PATH. Its exit status is an errno. */

static int call(int number, int first, int second, int third, int fourth, int fifth)
{
	int result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(first), "c"(second), "d"(third), "S"(fourth), "D"(fifth)
			 : "memory");
	return result;
}

/* arch/x86/entry/syscalls/syscall_32.tbl, include/uapi/linux/net.h */
enum { EXIT = 1, WRITE = 4, SOCKETCALL = 102, SOCKET = 359, CONNECT = 362, SENDTO = 369 };
enum { SYS_SOCKET = 1, SYS_CONNECT = 3, SYS_SEND = 9, SYS_SENDTO = 11 };
enum { UNIX = 1, INTERNET = 2, STREAM = 1, DATAGRAM = 2 };

static int socketcall(int number, int first, int second, int third, int fourth, int fifth, int sixth)
{
	int arguments[] = {first, second, third, fourth, fifth, sixth};

	return call(SOCKETCALL, number, (int)arguments, 0, 0, 0);
}

__attribute__((noreturn)) static void end(int result)
{
	for (;;)
		call(EXIT, result < 0 ? -result : 0, 0, 0, 0, 0);
}

__attribute__((noreturn, used)) static void start(char **arguments)
{
	struct {
		unsigned short family, port;
		unsigned char host[4], rest[8];
	} address = {INTERNET, 0, {127, 0, 0, 1}, {0}};
	static struct {
		unsigned short family;
		char path[108];
	} name = {UNIX};
	int port = 0, fd, result;

	for (char *digit = arguments[2]; *digit; digit++)
		port = 10 * port + *digit - '0';
	address.port = (unsigned short)(port >> 8 | port << 8);
	switch (arguments[1][0]) {
	case 's': /* socketcall(2): a C library from before 2015 */
		fd = socketcall(SYS_SOCKET, INTERNET, STREAM, 0, 0, 0, 0);
		result = socketcall(SYS_CONNECT, fd, (int)&address, sizeof(address), 0, 0, 0);
		end(result < 0 ? result : socketcall(SYS_SEND, fd, (int)"ask", 3, 0, 0, 0));
	case 'n': /* no connect */
		fd = socketcall(SYS_SOCKET, INTERNET, DATAGRAM, 0, 0, 0, 0);
		end(socketcall(SYS_SENDTO, fd, (int)"ask", 3, 0, (int)&address, sizeof(address)));
	case 't':
		fd = call(SOCKET, INTERNET, STREAM, 0, 0, 0);
		result = call(CONNECT, fd, (int)&address, sizeof(address), 0, 0);
		end(result < 0 ? result : call(WRITE, fd, (int)"ask", 3, 0, 0));
	case 'd':
		fd = call(SOCKET, INTERNET, DATAGRAM, 0, 0, 0);
		result = call(CONNECT, fd, (int)&address, sizeof(address), 0, 0);
		end(result < 0 ? result : call(WRITE, fd, (int)"ask", 3, 0, 0));
	case 'u':
		for (int at = 0; arguments[3][at]; at++)
			name.path[at] = arguments[3][at];
		fd = call(SOCKET, UNIX, STREAM, 0, 0, 0);
		result = call(CONNECT, fd, (int)&name, sizeof(name), 0, 0);
		end(result < 0 ? result : call(WRITE, fd, (int)"ask", 3, 0, 0));
	}
	end(-22);
}

__asm__(".globl _start\n_start: lea 4(%esp), %eax; push %eax; call start");

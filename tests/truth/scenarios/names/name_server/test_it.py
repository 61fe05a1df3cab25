import socket
import subprocess
import sys

import dns.message
import dns.query
from conftest import NAME_SERVER
from peers import ask


def ask_at(host, port=49153):
    with socket.create_connection((host, port)) as sock:
        ask(sock)


def test_name():
    ask_at("api.test")


def test_another_name_of_the_same_address():
    ask_at("web.test")


def test_alias():
    ask_at("alias.test")


def test_rule_of_a_port_comes_before():
    ask_at("nodes.test", 9042)


def test_child():
    subprocess.run([sys.executable, "-c", "from test_it import ask_at; ask_at('child.test')"], check=True)


def test_address_of_the_parent():
    address = socket.gethostbyname("parent.test")
    code = "import sys; from test_it import ask_at; ask_at(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, address], check=True)


def look_up(query, name):
    answer = query(dns.message.make_query(name, "A"), NAME_SERVER)
    return answer.answer[0][0].address


def test_unconnected_sockets():
    ask_at(look_up(dns.query.udp, "unconnected.test"))


def test_by_tcp():
    ask_at(look_up(dns.query.tcp, "by-tcp.test"))


def test_rule():
    """The last one: the name server has the same address."""
    ask_at("orders.company.test")

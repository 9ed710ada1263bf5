"""Which class a service belongs to, and what contradicts a declaration."""

from __future__ import annotations

import pytest

from auditor.catalogue.contradiction import contradiction
from auditor.catalogue.lookup import Classification, classify
from auditor.model.observation import Identity
from auditor.model.words import Protocol, ServiceClass

TCP, UDP = Protocol
WEB, ADMIN, STORE, DEV, DIAG, PLAIN_UDP, UNKNOWN = ServiceClass


def probed(name: str, product: str = "", tunnel: str = "") -> Identity:
    return Identity(name, "probed", product, tunnel=tunnel)


@pytest.mark.parametrize(
    ("port", "identity", "declared", "expected", "decided_by"),
    [
        (9090, probed("http", "nginx"), None, WEB, "product"),
        (9090, probed("http", "Golang net/http server"), None, DIAG, "port"),
        (9100, probed("http", "Golang net/http server"), None, DIAG, "port"),
        (9100, probed("http", "Golang net/http server"), WEB, WEB, "declared"),
        (80, probed("http", "Elasticsearch REST API"), None, STORE, "product"),
        (80, probed("http", "elasticsearch rest api 7"), None, STORE, "product"),
        (80, probed("http", "Apache httpd"), DIAG, WEB, "product"),
        (81, probed("http", "Apache Tomcat/Coyote JSP engine"), None, WEB, "product"),
        (3000, probed("http", "Grafana http"), None, DIAG, "product"),
        (3000, probed("http", "Node.js Express framework"), None, DEV, "port"),
        (8000, probed("http", "Werkzeug httpd"), None, DEV, "product"),
        (80, probed("http", "Netgear GS108 switch http config"), None, ADMIN, "product"),
        (2375, probed("docker", "Docker remote API"), None, ADMIN, "product"),
        (8080, probed("jdwp", "Java Debug Wire Protocol"), None, DEV, "protocol"),
        (12345, probed("ssh", "Made Up sshd"), WEB, ADMIN, "protocol"),
        (443, probed("ssl/http", "nginx"), None, WEB, "product"),
        (10250, probed("http", "Golang net/http server", "ssl"), None, ADMIN, "port"),
        (6379, probed("tcpwrapped"), None, STORE, "port"),
        (6379, probed("unknown"), WEB, WEB, "declared"),
        (6379, Identity("redis", "table"), None, STORE, "port"),
        (23456, Identity("ssh", "table"), None, UNKNOWN, "none"),
        (23456, probed("ssl"), None, UNKNOWN, "none"),
        (23456, probed("http"), None, WEB, "http"),
        (23456, probed("no-such-protocol"), None, UNKNOWN, "unknown"),
        (22, probed("xmail-ctrl", "XMail control"), None, UNKNOWN, "unknown"),
        (22, probed("xmail-ctrl"), STORE, STORE, "declared"),
        (9092, probed("kafka"), None, STORE, "port"),
        (4505, probed("zmtp", "ZeroMQ ZMTP 2.0"), None, ADMIN, "port"),
        (23456, probed("zmtp", "ZeroMQ ZMTP 2.0"), None, UNKNOWN, "none"),
        (9083, probed("thrift-binary", "Apache Thrift TBinary"), None, STORE, "port"),
        (23456, probed("thrift-binary", "Apache Thrift TBinary"), None, UNKNOWN, "none"),
        (23456, probed("thrift-binary", "Hadoop Hive 2"), None, STORE, "product"),
        (25, probed("smtp", "Postfix smtpd"), None, UNKNOWN, "product"),
        (23456, None, STORE, STORE, "declared"),
        (53, None, PLAIN_UDP, UNKNOWN, "declared"),
        (161, probed("snmp"), None, UNKNOWN, "protocol"),
    ],
)
def test_class_over_tcp(
    port: int, identity: Identity | None, declared: ServiceClass | None, expected: ServiceClass, decided_by: str
) -> None:
    """What answers decides; carriers and guesses decide nothing; then the declaration, the port number, bare HTTP."""
    found = classify(TCP, port, identity, declared)

    assert (expected, decided_by) == (found.service_class, found.decided_by)


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (probed("varnish-cli", "Varnish Cache CLI"), ADMIN),
        (probed("oracle-nm", "Oracle WebLogic Server Node Manager"), ADMIN),
        (probed("imap-proxy", "nginx imap proxy"), UNKNOWN),
        (probed("ssh", "ProFTPD mod_sftp"), ADMIN),
        (probed("finger", "OpenLDAP fingerd"), DIAG),
        (probed("ftp", "Roxen ftp server"), STORE),
        (probed("ftp-proxy", "Squid ftp proxy"), STORE),
        (probed("ndb_mgmd", "MySQL cluster management server"), STORE),
        (probed("http-proxy", "nginx made up"), WEB),
        (probed("ipp", "Epson 980N Printer"), STORE),
        (probed("ms-sql-m", "Microsoft SQL Server"), UNKNOWN),
        (probed("made-up", "Caucho Resin JSP Engine srun"), WEB),
        (probed("ssl", "VMware ESXi Server httpd"), ADMIN),
    ],
)
def test_a_protocol_outweighs_the_first_words_of_a_product(identity: Identity, expected: ServiceClass) -> None:
    """A product's first words may name its maker's other product; they decide only where the protocol decides not."""
    assert expected is classify(TCP, 23456, identity, None).service_class


@pytest.mark.parametrize(
    ("product", "expected"),
    [
        ("PowerDNS stats httpd", DIAG),
        ("PowerDNS made up", WEB),
        ("MySQL Enterprise Agent Aggregator", DIAG),
        ("MySQL made up", WEB),
        ("MongoDB simple REST interface", STORE),
        ("Sendmail Mailstream Manager http config", ADMIN),
        ("Zeus httpd Admin Server", ADMIN),
        ("Zeus httpd", WEB),
        ("Varnish Agent", ADMIN),
        ("Oracle Application Express (APEX) http admin", ADMIN),
        ("MikroTik router config httpd", ADMIN),
        ("HP LaserJet Pro MFP config httpd", ADMIN),
        ("BT Home Hub config httpd", ADMIN),
        ("D-Link DIR-615 router httpd config", ADMIN),
        ("Axigen webadmin httpd", ADMIN),
        ("WDLinux Control Panel", ADMIN),
        ("ISPConfig http control panel", ADMIN),
        ("Dell Remote Access Controller 6 http interface", ADMIN),
        ("Dell Remote Access Controller http interface", ADMIN),
        ("Dell Embedded Remote Access card httpd", ADMIN),
        ("HPE Integrated Lights-Out 5 httpd", ADMIN),
        ("Sun Integrated Lights-Out httpd", ADMIN),
        ("Dell PowerEdge OpenManage Server Administrator httpd", ADMIN),
        ("HP System Management Homepage", ADMIN),
        ("Sun Solaris Management Console", ADMIN),
        ("Linuxconf web configuration server", ADMIN),
        ("Samba SWAT administration server", ADMIN),
        ("Bomgar Remote Access Portal", ADMIN),
        ("Avocent DSView remote management httpd", ADMIN),
        ("Aten KN2116v KVM-over-IP switch http interface", ADMIN),
        ("Fortinet FortiGate firewall http proxy admin", ADMIN),
        ("IBM WebSphere DataPower management interface", ADMIN),
        ("LANDesk html5 remote control", ADMIN),
        ("Hikvision IP camera httpd", ADMIN),
        ("Hikvision DVR web UI", ADMIN),
        ("Sentry Bulldog UPS httpd", ADMIN),
        ("Epson printer httpd", ADMIN),
        ("TP-LINK TL-SG108E switch httpd", ADMIN),
        ("Stonesoft StoneGate SSL VPN", ADMIN),
        ("Siemens Simatic S7-300 PLC httpd", ADMIN),
        ("Barracuda Web Application Firewall", WEB),
        ("Seagull BarTender printer driver httpd", WEB),
        ("MiniShare http interface", WEB),
        ("Citrix NetScaler httpd", WEB),
        ("IBM WebSphere Application Server", WEB),
    ],
)
def test_http_products(product: str, expected: ServiceClass) -> None:
    """Over HTTP the whole product decides, then the last words of a management page, then the words it begins with."""
    assert expected is classify(TCP, 80, probed("http", product), None).service_class


def test_what_is_recognised_and_unknown_is_not_the_port() -> None:
    """A port number proves nothing against what answered, so nothing of its usual service is left: no override."""
    refuted = classify(TCP, 2375, probed("xmail-ctrl"), ADMIN)

    assert (ADMIN, "declared", None) == (refuted.service_class, refuted.decided_by, refuted.entry)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (classify(TCP, 80, None, None, "redis-server"), (STORE, None, "process")),
        (classify(TCP, 80, None, WEB, "redis-server"), (STORE, None, "process")),
        (classify(TCP, 80, probed("http", "nginx"), None, "redis-server"), (WEB, None, "product")),
        (classify(TCP, 5000, None, None, "docker-proxy"), (DEV, None, "port")),
        (classify(TCP, 22, None, None, ""), (ADMIN, None, "port")),
        (classify(UDP, 9999, None, None, "openvpn"), (PLAIN_UDP, ADMIN, "process")),
        (classify(UDP, 9999, probed("snmp"), None, "openvpn"), (PLAIN_UDP, None, "protocol")),
    ],
)
def test_the_process_that_listens(found: Classification, expected: tuple[object, ...]) -> None:
    """It decides where nothing has answered for itself, before what is declared and before the number."""
    assert expected == (found.service_class, found.as_class, found.decided_by)


def test_a_usual_port_of_kafka() -> None:
    """9092 is Kafka's, which is seen there far more often than an H2 database."""
    found = classify(TCP, 9092, None, None).entry

    assert found is not None
    assert "kafka" == found.id


def test_http_refutes_a_port_number() -> None:
    """Bare HTTP on SSH's port is a web server there, not SSH; on Elasticsearch's it may well be Elasticsearch."""
    assert WEB is classify(TCP, 22, probed("http"), None).service_class
    assert STORE is classify(TCP, 9200, probed("http"), None).service_class


@pytest.mark.parametrize(
    ("port", "identity", "declared", "expected", "decided_by"),
    [
        (623, probed("asf-rmcp"), None, ADMIN, "protocol"),
        (11211, None, None, STORE, "port"),
        (161, probed("snmp", "SNMPv1 server"), None, None, "protocol"),
        (53, probed("domain", "dnsmasq"), ADMIN, None, "product"),
        (53, None, PLAIN_UDP, None, "port"),
        (51820, None, PLAIN_UDP, ADMIN, "port"),
        (40000, None, ADMIN, ADMIN, "declared"),
        (40000, None, PLAIN_UDP, None, "declared"),
        (40000, None, None, None, "none"),
        (623, probed("no-such-protocol"), None, None, "unknown"),
        (623, probed("no-such-protocol"), PLAIN_UDP, None, "declared"),
        (1434, probed("ms-sql-m", "Microsoft SQL Server"), None, None, "protocol"),
        (10001, probed("ubiquiti-discovery", "Ubiquiti Discovery Service"), None, None, "protocol"),
    ],
)
def test_class_over_udp(
    port: int, identity: Identity | None, declared: ServiceClass | None, expected: ServiceClass | None, decided_by: str
) -> None:
    """Over UDP the class is udp; what it is graded as comes from what answers, the declaration, the port number."""
    found = classify(UDP, port, identity, declared)

    assert (PLAIN_UDP, expected, decided_by) == (found.service_class, found.as_class, found.decided_by)


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (22, ADMIN),
        (23, ADMIN),
        (3389, ADMIN),
        (5900, ADMIN),
        (5985, ADMIN),
        (2375, ADMIN),
        (6443, ADMIN),
        (80, WEB),
        (443, WEB),
        (8080, WEB),
        (3128, WEB),
        (1433, STORE),
        (1521, STORE),
        (3306, STORE),
        (5432, STORE),
        (6379, STORE),
        (9200, STORE),
        (11211, STORE),
        (27017, STORE),
        (2049, STORE),
        (445, STORE),
        (389, STORE),
        (2379, STORE),
        (5672, STORE),
        (9092, STORE),
        (5005, DEV),
        (9229, DEV),
        (5678, DEV),
        (8888, DEV),
        (35729, DEV),
        (9090, DIAG),
        (9100, DIAG),
        (6060, DIAG),
        (9411, DIAG),
        (16686, DIAG),
        (25, UNKNOWN),
        (5060, UNKNOWN),
    ],
)
def test_well_known_ports(port: int, expected: ServiceClass) -> None:
    """The last resort: the class of a port number where nothing else is known."""
    assert expected is classify(TCP, port, None, None).service_class


def test_the_entry_of_a_declared_class_must_agree() -> None:
    """A port's entry speaks for a declared service only where both are of one class."""
    agreeing = classify(TCP, 2375, None, ADMIN).entry

    assert agreeing is not None
    assert "docker" == agreeing.id
    assert classify(TCP, 2375, None, STORE).entry is None


def test_a_long_hostile_product_costs_nothing() -> None:
    """A product of any length is looked up within bounds."""
    assert WEB is classify(TCP, 8080, probed("http", "a.b c" * 100_000), None).service_class


@pytest.mark.parametrize(
    ("identity", "declared_class", "declared_protocol"),
    [
        (None, STORE, "ssh"),
        (Identity("redis", "table"), ADMIN, "ssh"),
        (probed("tcpwrapped"), ADMIN, "ssh"),
        (probed("unknown"), ADMIN, "ssh"),
        (probed("ssl"), ADMIN, "ssh"),
        (probed("http"), STORE, None),
        (probed("http", "Golang net/http server"), DIAG, "prometheus"),
        (probed("http", tunnel="ssl"), ADMIN, "etcd"),
        (probed("http"), None, "in-house"),
        (probed("http", "nginx"), WEB, "http"),
        (probed("http", "nginx", "ssl"), WEB, "https"),
        (probed("ssl/http", "nginx"), WEB, "https"),
        (probed("https"), WEB, "https"),
        (probed("http-proxy", "Squid http proxy"), WEB, "http"),
        (probed("http", "Elasticsearch REST API"), STORE, "elasticsearch"),
        (probed("docker", "Docker remote API"), ADMIN, "docker"),
        (probed("postgresql", "PostgreSQL DB"), STORE, "postgres"),
        (probed("postgresql", "PostgreSQL DB"), STORE, "PostgreSQL"),
        (probed("ms-sql-s", "Microsoft SQL Server 2019"), STORE, "mssql"),
        (probed("domain", "dnsmasq"), UNKNOWN, "dns"),
        (probed("domain", "dnsmasq"), PLAIN_UDP, "dns"),
        (probed("smtp", "Postfix smtpd", "ssl"), UNKNOWN, "smtps"),
        (probed("imap", tunnel="ssl"), None, "imaps"),
        (probed("redis", tunnel="ssl"), STORE, "redis"),
        (probed("microsoft-ds", "Samba smbd 4"), STORE, "smb"),
        (probed("mysql", "MariaDB"), STORE, "mysql"),
        (probed("no-such-protocol"), STORE, None),
        (probed("no-such-protocol"), STORE, "no-such-protocol"),
        (probed("redis", tunnel="ssl"), STORE, "tls"),
        (probed("http", "nginx", "ssl"), WEB, "wss"),
        (probed("http", "nginx", "ssl"), WEB, "websocket"),
        (probed("http", "nginx", "ssl"), WEB, "grpc"),
        (probed("http", "nginx", "ssl"), WEB, "http2"),
        (probed("http", "nginx", "ssl"), WEB, "h2"),
        (probed("http", "Apache httpd"), WEB, "soap"),
        (probed("http-proxy", "HAProxy http proxy"), WEB, "grpc"),
        (probed("http", "Check Point Firewall-1 httpd"), ADMIN, "checkpoint"),
        (probed("ipp", "CUPS", "ssl"), STORE, "ipps"),
        (probed("ssh", "ProFTPD mod_sftp"), ADMIN, "sftp"),
        (probed("imap-proxy", "nginx imap proxy"), UNKNOWN, "imap"),
        (probed("zmtp", "ZeroMQ ZMTP 2.0"), STORE, "in-house"),
        (probed("thrift-binary", "Apache Thrift TBinary"), ADMIN, "in-house"),
    ],
)
def test_no_contradiction(
    identity: Identity | None, declared_class: ServiceClass | None, declared_protocol: str | None
) -> None:
    """Carriers, guesses, unknown names and other words for the same protocol contradict nothing."""
    assert contradiction(TCP, 4444, identity, declared_class, declared_protocol) is None


@pytest.mark.parametrize(
    ("identity", "declared_class", "declared_protocol", "expected"),
    [
        (probed("ssh", "OpenSSH"), STORE, None, "declared data-store, but OpenSSH answers (remote-admin)"),
        (probed("ssh"), STORE, None, "declared data-store, but ssh answers (remote-admin)"),
        (probed("http", "nginx"), STORE, None, "declared data-store, but nginx answers (public-web)"),
        (probed("redis", "Redis key-value store"), UNKNOWN, None,
         "declared unclassified, but Redis key-value store answers (data-store)"),
        (probed("mysql", "MySQL"), STORE, "postgres", "declared postgres, but mysql answers"),
        (probed("ssh", "OpenSSH"), None, "https", "declared https, but ssh answers"),
        (probed("http"), WEB, "https", "declared https, but http answers without TLS"),
        (probed("http", "nginx", "ssl"), WEB, "http", "declared http, but https answers"),
        (probed("http"), None, "ssh", "declared ssh, but http answers"),
        (probed("http", "nginx"), None, "redis", "declared redis, but http answers"),
        (probed("http", tunnel="ssl"), None, "imaps", "declared imaps, but https answers"),
        (probed("smtp", "Postfix smtpd"), None, "smtps", "declared smtps, but smtp answers without TLS"),
        (probed("no-such-protocol"), None, "ssh", "declared ssh, but no-such-protocol answers"),
        (probed("ssh"), None, "in-house", "declared in-house, but ssh answers"),
        (probed("redis"), None, "tls", "declared tls, but redis answers without TLS"),
        (probed("http", "nginx"), None, "wss", "declared wss, but http answers without TLS"),
        (probed("http", "nginx"), None, "ssh", "declared ssh, but http answers"),
        (probed("ipp", "CUPS"), None, "ipps", "declared ipps, but ipp answers without TLS"),
        (probed("vmware-auth", "VMware Authentication Daemon"), None, "in-house",
         "declared in-house, but vmware-auth answers"),
        (probed("vmware-auth", "VMware Authentication Daemon"), None, "http",
         "declared http, but vmware-auth answers"),
    ],
)  # fmt: skip
def test_contradiction(
    identity: Identity, declared_class: ServiceClass | None, declared_protocol: str | None, expected: str
) -> None:
    """What was recognised and differs from the declaration is the wrong service."""
    assert expected == contradiction(TCP, 4444, identity, declared_class, declared_protocol)


@pytest.mark.parametrize(
    ("identity", "declared", "expected"),
    [
        (probed("asf-rmcp"), PLAIN_UDP, None),
        (probed("asf-rmcp"), ADMIN, None),
        (probed("asf-rmcp"), STORE, "declared data-store, but asf-rmcp answers (remote-admin)"),
        (probed("domain", "dnsmasq"), ADMIN, "declared remote-admin, but dnsmasq answers (udp)"),
        (probed("domain", "dnsmasq"), UNKNOWN, None),
    ],
)
def test_contradiction_over_udp(identity: Identity, declared: ServiceClass, expected: str | None) -> None:
    """`udp` is never contradicted over UDP; another class is compared with what the service is graded as."""
    assert expected == contradiction(UDP, 4444, identity, declared, None)

"""Every kind of fault that an inventory can have, by the id that its message ends with."""

from __future__ import annotations

from auditor.model.lint import Rule

# Each id: why it is an error, what would be right, and an example. One for a kind of fault, wherever it is found.
FAULTS: dict[str, Rule] = {
    # ------------------------------------------------------------------ files
    "no-such-file": Rule(
        "without an inventory there is nothing to compare with",
        "give the path of an inventory, a file or a folder; `auditor init` drafts a first one",
        "auditor init --nmap-xml public=scan.xml -o inventory.yaml",
    ),
    "unreadable-file": Rule(
        "what cannot be read may declare anything, so that the rest would be judged wrongly",
        "put a regular file there that the user who runs the auditor may read",
        "chmod a+r inventory/hosts.yaml",
    ),
    "no-inventory-file": Rule(
        "a folder without a .yaml, .yml or .json file declares nothing",
        "name the folder that holds the inventory's files",
        "inventory/hosts.yaml",
    ),
    "bad-link": Rule(
        "a link may lead out of what was reviewed, and to something else on another machine",
        "put the file itself there, or name what the link leads to",
        "inventory/hosts.yaml",
    ),
    "submodule": Rule(
        "the files of a submodule are in another repository, which is not read here",
        "put the files themselves into this repository",
        "inventory/hosts.yaml",
    ),
    "over-a-limit": Rule(
        "a file, or what its aliases unfold to, must fit into memory and be read in reasonable time",
        "split it into several files or inventories, and write values out",
        "inventory/hosts-a.yaml and inventory/hosts-b.yaml",
    ),
    "too-many-errors": Rule(
        "more errors than that help nobody, and mostly have one cause",
        "mend the first ones and look again",
    ),
    # ------------------------------------------------------------------ text and YAML
    "not-utf-8": Rule(
        "programs read other encodings differently, so that a review sees something else",
        "save the file as UTF-8",
        "iconv -f latin1 -t utf-8 old.yaml > inventory.yaml",
    ),
    "not-yaml": Rule(
        "what is no valid YAML, or JSON in a .json file, can be read in more than one way",
        "mend the text at the place; often it is the indentation, a quote or a bracket before it",
        'reason: "in quotes: this text has a colon"',
    ),
    "hidden-line-break": Rule(
        "some programs end a line there and others do not, so that text can hide from a review",
        "remove the character, or write it as an escape in double quotes",
        '"\\u2028"',
    ),
    "second-document": Rule(
        "only the first document of a file would be read by many programs",
        "keep one document in a file, and put the others into files of a folder",
        "inventory/hosts.yaml and inventory/ranges.yaml",
    ),
    "not-an-inventory": Rule(
        "a file that holds no mapping declares nothing, and is hardly meant to be read",
        "start with the version and the name",
        "version: 1\nname: shop",
    ),
    "bad-alias": Rule(
        "an alias stands for the value of an anchor that comes before it",
        "put the anchor first, or write the value out",
        "a: &owners [team]\nb: *owners",
    ),
    "refused-yaml": Rule(
        "tags and merge keys change what is meant without being seen, and YAML 1.2 has no merge key",
        "write the values out, or give a whole value as an alias",
        'since: "2026-01-01"',
    ),
    "bad-number": Rule(
        "a number without an end means nothing here",
        "put it in quotes if it is a text",
        'ticket: "1e999"',
    ),
    "key-not-a-text": Rule(
        "keys are names, and a number, a list or a mapping is none",
        "put the key in quotes",
        '"10": {interfaces: {lan: [10.0.0.10]}}',
    ),
    "key-twice": Rule(
        "of two keys of one name most programs take the last without a word",
        "keep one of them",
    ),
    # ------------------------------------------------------------------ keys and values
    "unsupported-version": Rule(
        "another version of the format may mean something else by the same words",
        "write the version that this auditor reads, as a number",
        "version: 1",
    ),
    "unknown-key": Rule(
        "a key that nobody reads looks as if it held: a misspelled `from` would open or close nothing",
        "write the key that is meant; your own keys start with `x-`",
        "x-note: moved in May",
    ),
    "unsupported-key": Rule(
        "this version does not read the key, and what it should do would not be done",
        "remove it",
    ),
    "misplaced-key": Rule(
        "the key belongs to something else, and does nothing here",
        "set it where it belongs",
        "viewpoints:\n  public: {limits: {hosts: 8}}",
    ),
    "missing-key": Rule(
        "what is declared is not whole without it, and there is no default that would be safe",
        "write it",
        "https: {ports: 443/tcp, from: [internet]}",
    ),
    "unknown-word": Rule(
        "the key takes one of a few words only",
        "write one of those that the message names",
        "kind: public",
    ),
    "wrong-type": Rule(
        "a list where a text belongs, or a text where a number belongs, may mean several things",
        "write what the message names",
        'ticket: "1234"',
    ),
    "empty-value": Rule(
        "an empty value declares nothing, and is mostly a value that got lost",
        "write it, or remove the key",
        "reason: customers order here",
    ),
    "out-of-bounds": Rule(
        "the number is beyond what works",
        "write one within the bounds that the message names",
        "limits: {rate: 500}",
    ),
    "too-many-values": Rule(
        "more than that cannot hold at the same time",
        "keep those that are meant",
        "via: {ssh: {host: scanner.example.com}}",
    ),
    "item-twice": Rule(
        "what is there twice is mostly something else misspelled",
        "keep one of them",
        "from: [office, vpn]",
    ),
    "not-in-schema": Rule(
        "the text has not the form that the key asks for",
        "write it as the message says; `auditor schema` prints the whole schema",
        "web-1: {interfaces: {public: [203.0.113.10]}}",
    ),
    "bad-address": Rule(
        "what is no address of a machine, or can be read in two ways, would be probed wrongly or not at all",
        "write one IPv4 or IPv6 address; an interface may have a full DNS name too",
        'public: [203.0.113.10, "2001:db8:1::10"]',
    ),
    "bad-network": Rule(
        "a network with host bits set, or that no machine can be in, is mostly a slip",
        "write the network by its first address, or one address",
        "office: [198.51.100.0/24]",
    ),
    "bad-ports": Rule(
        "a port is TCP or UDP, from 1 to 65535, and which is never guessed",
        "write ports with their protocol",
        "ports: [443/tcp, 6000-6010/tcp, 53/udp]",
    ),
    "bad-canary": Rule(
        "a canary that cannot be asked proves no path",
        "write an address, or an endpoint with its protocol",
        'canaries: [203.0.113.7, "203.0.113.7:22/tcp", "[2001:db8::7]:22/tcp"]',
    ),
    "bad-window": Rule(
        "a time that cannot be told would let an audit probe at any time",
        "write days, hours and a time zone",
        "windows: [Mon-Fri 22:00-06:00 Europe/Berlin]",
    ),
    "bad-date": Rule(
        "a day that the calendar has not never comes",
        "write year, month and day",
        "expires: 2026-12-31",
    ),
    # ------------------------------------------------------------------ names
    "unknown-name": Rule(
        "a name that nothing has means nobody, and would silently open or close nothing",
        "write the name of what is declared; hosts and roles as sources are `host:NAME` and `role:NAME`",
        "from: [office, host:web-1, role:app]",
    ),
    "ambiguous-name": Rule(
        "names may hold dots, so that this one can be read in two ways",
        "rename one of what it can mean",
        "behind: proxy.https",
    ),
    "declared-twice": Rule(
        "of two declarations in two files nobody could tell which one holds",
        "keep one of them; the message names the other place",
    ),
    "reserved-name": Rule(
        "the name has a meaning of its own",
        "give it another name",
        "viewpoints:\n  everywhere: {kind: internal, addresses: [10.0.0.5]}",
    ),
    "name-like-address": Rule(
        "a name that reads as an address would be taken for one in `from` and in waivers",
        "give it another name",
        "ranges:\n  office: [198.51.100.0/24]",
    ),
    "self-reference": Rule(
        "nothing stands before itself, or belongs to itself",
        "name the other one that is meant",
        "behind: proxy.https",
    ),
    "nobody-meant": Rule(
        "a source without fixed addresses lets nobody in, or whoever has the address by then",
        "name a source that has addresses, or the prefix if all of it is meant",
        "from: [10.20.0.0/16]",
    ),
    # ------------------------------------------------------------------ what does not go together
    "outside-scope": Rule(
        "nothing outside `scope.allow` is ever probed, so that it could never be verified",
        "allow it there, or remove it here",
        "scope: {allow: [203.0.113.0/24, 10.20.0.0/16]}",
    ),
    "outside-targets": Rule(
        "a canary proves the path to the target that it is in, and this one is in none",
        "name an address within the viewpoint's targets",
        "targets: [203.0.113.0/24]\ncanaries: [203.0.113.7]",
    ),
    "address-twice": Rule(
        "an address is of one host and one interface, or findings would be of either",
        "keep one; a floating or shared address is a host of its own, with `members`",
        "balancer: {interfaces: {public: [203.0.113.5]}, members: [web-1, web-2]}",
    ),
    "family-twice": Rule(
        "packets of one family leave a viewpoint with one source address, which decides what it may reach",
        "keep the one that targets see; declare another viewpoint for the other",
        'addresses: [198.51.100.20, "2001:db8:ff::20"]',
    ),
    "not-with-auto": Rule(
        "what is fixed, or seen by targets only, cannot be what the system at the viewpoint is found to use",
        "keep either `addresses: auto` with `within`, or the addresses",
        "{kind: container, addresses: auto, within: 10.20.0.0/16}",
    ),
    "empty-range": Rule(
        "a range without any address lets nobody in, though it looks like somebody",
        "narrow `except`, or remove the range",
        "office: {cidrs: [198.51.100.0/24], except: [198.51.100.1]}",
    ),
    "trusted-everybody": Rule(
        "a default route holds everybody, attackers too, so that nothing to it would count as exposed",
        "name the networks that are trusted",
        "office: {cidrs: [198.51.100.0/24], trust: trusted}",
    ),
    "no-hosts": Rule(
        "where no host is declared there is nothing to compare with",
        "declare at least one; `auditor init` drafts them from a scan",
        "hosts:\n  web-1: {interfaces: {public: [203.0.113.10]}}",
    ),
    "no-interface": Rule(
        "a role's service is on none of the host's interfaces, and so would be declared nowhere",
        "give the service interfaces of this host, or drop it by null",
        "services:\n  ssh: {interfaces: [private]}",
    ),
    "roles-differ": Rule(
        "which of two roles holds must not hang on their order",
        "give the keys at the host, which holds over its roles, or drop the service by null",
        "services:\n  ssh: {from: [bastion]}",
    ),
    "services-disagree": Rule(
        "two names on one endpoint are one declaration, and it can have one class, protocol and front only",
        "give both the same, or separate their ports",
        "shop: {ports: 443/tcp, class: public-web, from: [internet]}\n"
        "api: {ports: 443/tcp, class: public-web, from: [vpn]}",
    ),
    # ------------------------------------------------------------------ policy and waivers
    "forbids-everything": Rule(
        "a rule without a class and a trust forbids every service that there is",
        "say what is forbidden",
        "forbid: [{class: data-store, trust: untrusted}]",
    ),
    "waiver-never-holds": Rule(
        "a waiver that ends before it begins covers nothing",
        "give a later day",
        "since: 2026-01-01\nexpires: 2026-12-31",
    ),
    "waiver-too-wide": Rule(
        "a waiver that fits everything would also cover what nobody has thought of",
        "say where, by `host`, `address` or `tag`, and what, by one more key",
        "match: {host: web-1, ports: 8080/tcp}",
    ),
}

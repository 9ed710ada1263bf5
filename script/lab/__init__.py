"""The lab: whole networks in namespaces on one machine, for the demo, the live tests and the benchmark.

Standard library only, plus the programs `unshare`, `ip`, `nft` and `ss`. Nothing here reaches a real network: estates
are built inside a process that `enter` has cut off from every interface of the machine.
"""

"""The Turnwire protocol: wire shapes, codecs and rules. Pure: no I/O, no clock, no asyncio."""

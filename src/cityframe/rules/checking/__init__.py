"""From compiled rules to findings and the gate: parts, tiles, threads, waivers."""

"""Orders: what is scheduled, what of it arrived, and photographs that came without one."""

"""Where the vault's root key lies: one module a provider, chosen by the operator and never by a fallback."""

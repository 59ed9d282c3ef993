"""Indexes over one entity's memories: caches of SQL, thrown away whenever in doubt."""

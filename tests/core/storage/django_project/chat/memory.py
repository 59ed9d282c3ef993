from django.db import connection
from memori import Memori

memori = Memori(connection, embedder="hashing", extractor="none")

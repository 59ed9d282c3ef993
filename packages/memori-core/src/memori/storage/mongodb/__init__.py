"""MongoDB through pymongo: with transactions where the deployment has them, with a journal of its own where not."""

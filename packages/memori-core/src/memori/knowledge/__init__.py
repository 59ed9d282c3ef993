"""What is known of an entity as a graph, and the forms it can be taken away in."""

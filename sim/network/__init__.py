"""The network between the nodes: how long messages take, which are lost, held back or doubled, and who relays them."""

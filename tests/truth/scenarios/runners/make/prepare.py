from peers import gamma

gamma.ask()

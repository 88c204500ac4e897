"""What a deployed OpenStack needs before it is used: flavors, images, networks."""
